#include "op_scope.h"

namespace mt {

void OpScope::note_array(const char* argument, const NDArray& array) {
    note_.add(argument, name_of(array.dtype()), array.shape());
    array.storage()->note_use(cuda::current_stream());
}

}  // namespace mt
