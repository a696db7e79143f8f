// Convolution as a matrix product. With the windows of an image as the columns of a matrix (im2col.h), of L = H' * W'
// columns and taps = C / groups * kh * kw rows,
//
//   output      (O, L)    = weight (O, taps) . columns (taps, L)
//   columns'    (taps, L) = weight^T . upstream (O, L), and the input's gradient is col2im of it
//   weight'     (O, taps) = the sum over the images of upstream . columns^T
//
// for each group and image. Each thread takes images of its own, so there is one columns matrix a thread, not one an
// image.
#include "batch_slots.h"
#include "conv2d.h"
#include "gemm.h"
#include "im2col.h"
#include "parallel.h"

namespace mt::cpu {
namespace {

constexpr int64_t kMultiplyAddsPerThread = 200'000;

// Threads for `items` sums over one image and group each.
int64_t workers_for(const Conv2dGeometry& geometry, int64_t items) {
    const int64_t work = geometry.group_out() * geometry.taps() * geometry.output_pixels();
    return worker_count(items, divide_up(kMultiplyAddsPerThread, work));
}

// Packs the weights of all groups as left matrices: (groups, packed_a_size).
template <class T>
NDArray pack_weights(const Conv2dGeometry& geometry, const GemmPlan<T>& plan, const NDArray& weight, bool transpose) {
    NDArray packed = NDArray::empty({geometry.groups, plan.packed_a_size()}, weight.dtype());
    for (int64_t group = 0; group < geometry.groups; group++) {
        const MatrixView<T> matrix =
            row_major(weight.data<T>() + group * geometry.group_out() * geometry.taps(), geometry.taps());
        pack_a(plan, transpose ? transposed(matrix) : matrix, 0, plan.row_panels,
               packed.data<T>() + group * plan.packed_a_size());
    }
    return packed;
}

}  // namespace

void conv2d_im2col_gemm(const Conv2dGeometry& g, const NDArray& input, const NDArray& weight, const NDArray* bias,
                        NDArray& output) {
    dispatch_floating(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const int64_t pixels = g.output_pixels();
        const GemmPlan<T> plan(g.group_out(), pixels, g.taps());
        const NDArray packed_weight = pack_weights(g, plan, weight, false);
        const int64_t items = g.batch * g.groups, workers = workers_for(g, items);
        NDArray columns = NDArray::empty({workers, g.taps(), pixels}, output.dtype());
        NDArray packed_columns = NDArray::empty({workers, plan.packed_b_size()}, output.dtype());

        parallel_for_workers(items, workers, [&](int64_t worker, int64_t begin, int64_t end) {
            T* my_columns = columns.data<T>() + worker * g.taps() * pixels;
            T* my_packed_columns = packed_columns.data<T>() + worker * plan.packed_b_size();
            for (int64_t item = begin; item < end;
                 item++) {  // image and group together: their channels lie one after the other
                const int64_t group = item % g.groups;
                im2col_channels(input.data<T>() + item * g.group_in() * g.input_pixels(), g.group_in(), g.input,
                                g.window, g.output, my_columns);
                pack_b(plan, row_major(my_columns, pixels), 0, plan.column_panels, my_packed_columns);
                T* out = output.data<T>() + item * g.group_out() * pixels;
                for (int64_t o = 0; bias != nullptr && o < g.group_out(); o++) {
                    std::fill_n(out + o * pixels, pixels, bias->data<T>()[group * g.group_out() + o]);
                }
                multiply_tiles(plan, packed_weight.data<T>() + group * plan.packed_a_size(), my_packed_columns, 0,
                               plan.tiles(), bias != nullptr, out, pixels);
            }
        });
    });
}

void conv2d_im2col_gemm_input_grad(const Conv2dGeometry& g, const NDArray& upstream, const NDArray& weight,
                                   NDArray& input_grad) {
    dispatch_floating(input_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const int64_t pixels = g.output_pixels();
        const GemmPlan<T> plan(g.taps(), pixels, g.group_out());
        const NDArray packed_weight = pack_weights(g, plan, weight, true);
        const int64_t items = g.batch * g.groups, workers = workers_for(g, items);
        NDArray columns = NDArray::empty({workers, g.taps(), pixels}, input_grad.dtype());
        NDArray packed_upstream = NDArray::empty({workers, plan.packed_b_size()}, input_grad.dtype());

        parallel_for_workers(items, workers, [&](int64_t worker, int64_t begin, int64_t end) {
            T* my_columns = columns.data<T>() + worker * g.taps() * pixels;
            T* my_packed_upstream = packed_upstream.data<T>() + worker * plan.packed_b_size();
            for (int64_t item = begin; item < end; item++) {
                const int64_t group = item % g.groups;
                pack_b(plan, row_major(upstream.data<T>() + item * g.group_out() * pixels, pixels), 0,
                       plan.column_panels, my_packed_upstream);
                multiply_tiles(plan, packed_weight.data<T>() + group * plan.packed_a_size(), my_packed_upstream, 0,
                               plan.tiles(), false, my_columns, pixels);
                col2im_channels(my_columns, g.group_in(), g.input, g.window, g.output,
                                input_grad.data<T>() + item * g.group_in() * g.input_pixels());
            }
        });
    });
}

void conv2d_im2col_gemm_weight_grad(const Conv2dGeometry& g, const NDArray& upstream, const NDArray& input,
                                    NDArray& weight_grad) {
    dispatch_floating(weight_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const int64_t pixels = g.output_pixels();
        const GemmPlan<T> plan(g.group_out(), g.taps(), pixels);
        const BatchSlots slots(g.batch);
        const int64_t workers = workers_for(g, slots.count);
        NDArray columns = NDArray::empty({workers, g.taps(), pixels}, weight_grad.dtype());
        NDArray packed = NDArray::empty({workers, plan.packed_a_size() + plan.packed_b_size()}, weight_grad.dtype());
        NDArray slot_sums = NDArray::empty({slots.count, weight_grad.size()}, weight_grad.dtype());

        parallel_for_workers(slots.count, workers, [&](int64_t worker, int64_t begin, int64_t end) {
            T* my_columns = columns.data<T>() + worker * g.taps() * pixels;
            T* packed_upstream = packed.data<T>() + worker * (plan.packed_a_size() + plan.packed_b_size());
            T* packed_columns = packed_upstream + plan.packed_a_size();
            for (int64_t slot = begin; slot < end; slot++) {
                for (int64_t image = slots.begin(slot); image < slots.begin(slot + 1); image++) {
                    for (int64_t group = 0; group < g.groups; group++) {
                        const int64_t item = image * g.groups + group;
                        im2col_channels(input.data<T>() + item * g.group_in() * g.input_pixels(), g.group_in(), g.input,
                                        g.window, g.output, my_columns);
                        pack_a(plan, row_major(upstream.data<T>() + item * g.group_out() * pixels, pixels), 0,
                               plan.row_panels, packed_upstream);
                        pack_b(plan, transposed(row_major(my_columns, pixels)), 0, plan.column_panels, packed_columns);
                        multiply_tiles(
                            plan, packed_upstream, packed_columns, 0, plan.tiles(), image > slots.begin(slot),
                            slot_sums.data<T>() + slot * weight_grad.size() + group * g.group_out() * g.taps(),
                            g.taps());
                    }
                }
            }
        });
        slots.add_up(slot_sums.data<T>(), weight_grad.size(), weight_grad.data<T>());
    });
}

}  // namespace mt::cpu
