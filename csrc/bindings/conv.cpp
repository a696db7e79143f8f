#include "bindings.h"

namespace mt {

void bind_conv(py::module_&) {}

}  // namespace mt
