/* training/optimizers.py's rules for one float32 parameter on a CPU: one operator where MindSpore has one for each plus
 * and times, and for each of those more to do than the arithmetic. The same operations in the same order: the same
 * bytes, on any number of threads. params[]: what that passes, of which the parameter and its states are changed, then
 * a number that says nothing. */
#include <math.h>

#include "operator.h"

enum { FEW = 1 << 14 }; /* numbers that are not worth a second thread */

/* grad * factor, with weight decay where there is some */
static inline float decayed(float grad, float factor, float decay, float w) {
    return decay > 0 ? grad * factor + decay * w : grad * factor;
}

/* changes (w, square, moment) by (grad, {rho, 1 - rho, mu, eps, share, decay}, lr, factor) */
OPERATOR(rmsprop) {
    float *w = params[0], *square = params[1], *moment = params[2];
    const float *grad = params[3], *constant = params[4];
    const float rho = constant[0], rest = constant[1], mu = constant[2], eps = constant[3], decay = constant[5];
    const float lr = *(const float *)params[5] * constant[4], factor = *(const float *)params[6];
    const int64_t size = size_of(ndims[0], shapes[0]);
#pragma omp parallel for simd schedule(static) if (parallel : size > FEW)
    for (int64_t i = 0; i < size; i++) {
        float g = decayed(grad[i], factor, decay, w[i]);
        square[i] = rho * square[i] + rest * (g * g);
        moment[i] = mu * moment[i] + lr * g / sqrtf(square[i] + eps);
        w[i] -= moment[i];
    }
    *(float *)params[7] = 0;
    return 0;
}

/* changes (w, first, second) by (grad, {beta1, 1 - beta1, beta2, 1 - beta2, eps, share, decay}, lr, factor, beta1^t,
 * beta2^t) */
OPERATOR(adamw) {
    float *w = params[0], *first = params[1], *second = params[2];
    const float *grad = params[3], *constant = params[4];
    const float beta1 = constant[0], rest1 = constant[1], beta2 = constant[2], rest2 = constant[3], eps = constant[4];
    const float lr = *(const float *)params[5] * constant[5], factor = *(const float *)params[6];
    const float left1 = 1 - *(const float *)params[7], left2 = 1 - *(const float *)params[8];
    const float keep = 1 - lr * constant[6];
    const int64_t size = size_of(ndims[0], shapes[0]);
#pragma omp parallel for simd schedule(static) if (parallel : size > FEW)
    for (int64_t i = 0; i < size; i++) {
        float g = grad[i] * factor;
        first[i] = beta1 * first[i] + rest1 * g;
        second[i] = beta2 * second[i] + rest2 * (g * g);
        w[i] = w[i] * keep - lr * (first[i] / left1 / (sqrtf(second[i] / left2) + eps));
    }
    *(float *)params[9] = 0;
    return 0;
}
