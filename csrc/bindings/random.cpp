#include "bindings.h"

namespace mt {

void bind_random(py::module_&) {}

}  // namespace mt
