#include "bindings.h"

namespace mt {

void bind_pooling(py::module_&) {}

}  // namespace mt
