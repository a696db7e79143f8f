#include "bindings.h"

namespace mt {

void bind_shape(py::module_&) {}

}  // namespace mt
