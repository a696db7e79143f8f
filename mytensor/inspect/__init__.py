"""Look inside a kernel: pictures and widgets over what the compiled backend really computed. One module a subject."""
