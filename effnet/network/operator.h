/* An operator of MindSpore's in C: what its library is called with. */
#include <stdint.h>

#define OPERATOR(name)                                                                                      \
    __attribute__((visibility("default"))) int name(int count, void **params, int *ndims, int64_t **shapes, \
                                                    const char **dtypes, void *stream, void *extra)

static inline int64_t size_of(int ndim, const int64_t *shape) {
    int64_t size = 1;
    for (int i = 0; i < ndim; i++) size *= shape[i];
    return size;
}
