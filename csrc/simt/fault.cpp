// Faults in words.
#include "../base/error.h"
#include "worker.h"

namespace mt::simt {
namespace {

struct Triple {
    const uint32_t (&index)[3];
};
void append_text(std::string& text, Triple triple) {
    text += message("(", triple.index[0], ",", triple.index[1], ",", triple.index[2], ")");
}

std::string place_of(const Actor& actor, const Grid& grid) {
    Site site{actor.place.file != nullptr ? actor.place.file : "", actor.place.line, 0};
    if (actor.instruction != nullptr && grid.module.holds(actor.instruction))
        site = grid.module.site_of(actor.instruction);
    if (site.file.empty()) return "";
    return site.file + ":" + std::to_string(site.line);
}

std::string at_place(const Actor& actor, const Grid& grid) {
    const std::string place = place_of(actor, grid);
    return place.empty() ? "" : ", at " + place;
}

const char* verb_of(AccessKind kind) {
    switch (kind) {
        case AccessKind::read:
            return "reads";
        case AccessKind::write:
            return "writes";
        case AccessKind::atomic:
            return "updates (atomically)";
    }
    return "?";
}

// "element 1000 of 'x'"; with_size: ", which has 1000 elements" besides.
std::string element_of(Fault fault, const Grid& grid, bool with_size) {
    std::string text;
    const auto add = [&](const auto&... parts) { text += message(parts...); };
    const Grid::NamedArray* named = fault.array == nullptr ? grid.array_at(fault.address) : nullptr;
    if (named != nullptr) {
        const int64_t offset = static_cast<const char*>(fault.address) - named->begin;
        const auto bytes = static_cast<int64_t>(named->element_bytes);
        fault.array = named->name.c_str();
        fault.index = offset >= 0 ? offset / bytes : -((-offset + bytes - 1) / bytes);
        fault.size = static_cast<int64_t>(named->bytes) / bytes;
    }
    if (fault.array == nullptr) {
        add("address ", fault.address);
        return text;
    }
    add("element ", fault.index, " of '", fault.array, "'");
    if (with_size) add(", which has ", fault.size, " elements");
    return text;
}

}  // namespace

std::string text_of(const Fault& fault, const Grid& grid) {
    std::string text;
    const auto add = [&](const auto&... parts) { text += message(parts...); };
    add("kernel ", grid.kernel, ": block ", Triple{fault.actor.block}, " thread ", Triple{fault.actor.thread}, " ");
    switch (fault.kind) {
        case Fault::Kind::none:
            break;
        case Fault::Kind::out_of_bounds:
            add(verb_of(fault.access), " ", element_of(fault, grid, true), at_place(fault.actor, grid));
            break;
        case Fault::Kind::freed:
            add(verb_of(fault.access), " ", element_of(fault, grid, false), ", which was freed",
                at_place(fault.actor, grid));
            break;
        case Fault::Kind::bad_address:
            add(verb_of(fault.access), " address ", fault.address, ", where the device has no array",
                at_place(fault.actor, grid));
            break;
        case Fault::Kind::not_written:
            add("reads ", element_of(fault, grid, false), ", which nobody has written", at_place(fault.actor, grid));
            break;
        case Fault::Kind::misaligned:
            add(verb_of(fault.access), " ", fault.bytes, " bytes at ", element_of(fault, grid, false),
                ", an address that is no multiple of ", fault.bytes, at_place(fault.actor, grid));
            break;
        case Fault::Kind::race:
            add(verb_of(fault.access), " ", element_of(fault, grid, false), at_place(fault.actor, grid), ", and ");
            add("block ", Triple{fault.other.block}, " thread ", Triple{fault.other.thread}, " ",
                verb_of(fault.other_access), " it", at_place(fault.other, grid), ": a race, nothing orders the two");
            break;
        case Fault::Kind::fixed_array:
            add("uses index ", fault.index, " of an array of type ", fault.text, at_place(fault.actor, grid));
            break;
        case Fault::Kind::different_barriers:
            add("is at the barrier", at_place(fault.actor, grid), ", but thread ", Triple{fault.other.thread},
                " waits at another", at_place(fault.other, grid), ": all threads of a block must meet at one");
            break;
        case Fault::Kind::barrier_missed:
            add("is missing: thread ", Triple{fault.other.thread}, at_place(fault.other, grid), ", waits at ",
                fault.text);
            break;
        case Fault::Kind::stack_overflow:
            add("has no stack left (64 KiB): too deep a recursion, or arrays too large for local memory",
                at_place(fault.actor, grid));
            break;
        case Fault::Kind::division_by_zero:
            add("divides an integer by zero", at_place(fault.actor, grid));
            break;
        case Fault::Kind::illegal_instruction:
            add("reaches code that must not be reached", at_place(fault.actor, grid));
            break;
        case Fault::Kind::endless_loop:
            add("has not ended after ", fault.index, " steps: an endless loop?", at_place(fault.actor, grid));
            break;
        case Fault::Kind::trace_full:
            add("makes access ", grid.settings.trace_limit + 1, " of the launch, one more than a trace may hold",
                at_place(fault.actor, grid), "; trace a smaller launch, or raise the limit");
            break;
        case Fault::Kind::text:
            add(fault.text, at_place(fault.actor, grid));
            break;
    }
    return text;
}

}  // namespace mt::simt
