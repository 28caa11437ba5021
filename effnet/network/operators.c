/* What a training step spends most of its time on, for one float32 NCHW batch on a CPU: depthwise convolution, batch
 * normalisation with its activation, squeeze-and-excitation's scaling. operators.py makes MindSpore operators of them,
 * whose arguments each function gets as params[] (inputs, then outputs) with their shapes[].
 *
 * Each sum is taken by one thread in one order, over lanes that do not depend on the processor: results are the same
 * bytes on any number of threads. Nothing is kept for the backward pass but the inputs: what it needs of the forward
 * pass it computes again. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "operator.h"
#include "vectors.h"

#ifndef SMALL /* numbers of a plane that is small; given as 0 on the command line: none is */
#define SMALL LANES
#endif

/* --- sums --- */

/* The sum of LANES running sums, in their order; of fewer than LANES numbers, which leaves the others at zero. */
INLINE double total(const vec *v, int64_t numbers) {
    double sum = 0;
    for (int i = 0; i < LANES && i < numbers; i++) sum += v[i / WIDTH][i % WIDTH];
    return sum;
}

/* WIDTH running sums in double precision. */
INLINE void add(dvec *sum, vec v) {
    const half *halves = (const half *)&v;
    for (int i = 0; i < 2; i++) sum[i] += __builtin_convertvector(halves[i], dvec);
}

/* The sum of the first `left` of them, added to `to` one by one. */
INLINE void add_up(const dvec *sum, int64_t left, double *to) {
    for (int k = 0; k < WIDTH && k < left; k++) *to += sum[k / HALF][k % HALF];
}

INLINE vec choose(ivec which, vec a, vec b) { return (vec)((which & (ivec)a) | (~which & (ivec)b)); }

/* 1 / (1 + exp(-x)) to 2 units in the last place; exp as in Cephes' expf: 2^n times a polynomial on [-ln2/2, ln2/2]. */
INLINE vec sigmoid(vec x) {
    vec limit = (vec){0} + 87, y = choose(x > limit, -limit, choose(x < -limit, limit, -x));
    vec n = (y * 1.44269504f + 12582912.0f) - 12582912.0f; /* rounded: adding 1.5 * 2^23 leaves no fraction */
    vec r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
    vec p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = (p * r + 8.3334519073e-3f) * r + 4.1665795894e-2f;
    p = (p * r + 1.6666665459e-1f) * r + 0.5f;
    vec power = (vec)((__builtin_convertvector(n, ivec) + 127) << 23);
    return 1 / (1 + (p * r * r + r + 1) * power);
}

enum activation { NONE, SWISH, RELU6 };

INLINE vec activated(vec z, enum activation act) {
    vec zero = {0}, six = zero + 6;
    if (act == SWISH) return z * sigmoid(z);
    return act == RELU6 ? choose(z < zero, zero, choose(z > six, six, z)) : z; /* NaN stays */
}

/* d times the activation's derivative at z. */
INLINE vec through(vec d, vec z, enum activation act) {
    vec zero = {0};
    if (act == SWISH) {
        vec g = sigmoid(z);
        return d * (g * (1 + z * (1 - g)));
    }
    return act == RELU6 ? choose((z > zero) & (z < zero + 6), d, zero) : d;
}

/* --- planes of fewer numbers than a vector has --- */

/* Whole images side by side then, one a lane: pixel p of image n at work[p * width + n]. Each number and
 * each sum is that of the general way, in its order, so that the bytes are the same. */
INLINE int64_t width_beside(int64_t batch) { return (batch + LANES - 1) / LANES * LANES; }

INLINE int is_small(int64_t batch, int64_t pixels) { return batch >= LANES / 2 && pixels <= SMALL; }

/* Put one channel's planes side by side: `step` numbers from one image's to the next's. */
INLINE void beside(const float *x, int64_t step, int64_t batch, int64_t pixels, float *work) {
    int64_t width = width_beside(batch);
    for (int64_t n = 0; n < width; n++)
        for (int64_t p = 0; p < pixels; p++) work[p * width + n] = n < batch ? x[n * step + p] : 0;
}

INLINE void back(const float *work, int64_t step, int64_t batch, int64_t pixels, float *x) {
    for (int64_t n = 0; n < batch; n++)
        for (int64_t p = 0; p < pixels; p++) x[n * step + p] = work[p * width_beside(batch) + n];
}

/* --- depthwise convolution --- */

/* With its padding, a plane is dealt into stride * stride planes of one `pitch`, one for each remainder of row and
 * column. In these all that a tap reads is the output's plane shifted by a constant, so that each pass is one flat
 * loop. The output's plane has the same pitch; what lies between its rows is computed and dropped, or zero. */
struct depthwise {
    int batch, channels, height, width, out_height, out_width, kernel, stride, top, left;
    int rows, pitch, length, reach, plane; /* of a dealt plane: sizes, output's length, largest shift, floats in all */
};

static int padding(int in, int out, int kernel, int stride, int same) {
    int all = (out - 1) * stride + kernel - in;
    return !same ? kernel / 2 : all > 0 ? all / 2 : 0;
}

static struct depthwise depthwise_of(const int64_t *in, const int64_t *weight, const int64_t *out, int same) {
    struct depthwise d = {.batch = in[0], .channels = in[1], .kernel = weight[2]};
    d.height = in[2], d.width = in[3], d.out_height = out[2], d.out_width = out[3];
    d.stride = out[2] < in[2] || out[3] < in[3] ? 2 : 1;
    d.top = padding(d.height, d.out_height, d.kernel, d.stride, same);
    d.left = padding(d.width, d.out_width, d.kernel, d.stride, same);
    int more = (d.kernel - 1) / d.stride;
    d.rows = d.out_height + more;
    d.pitch = d.out_width + more;
    d.reach = more * (d.pitch + 1);
    d.length = (d.out_height * d.pitch + BLOCK - 1) / BLOCK * BLOCK;
    d.plane = (d.length + d.reach + BLOCK - 1) / BLOCK * BLOCK;
    return d;
}

/* Copy a plane into its dealt planes, or back. The padding around is left alone. */
INLINE void deal(const struct depthwise *d, float *plane, float *dealt, int back) {
    for (int y = 0; y < d->height && y + d->top < d->rows * d->stride; y++) {
        int row = y + d->top;
        for (int phase = 0; phase < d->stride; phase++) {
            int x = (phase - d->left % d->stride + d->stride) % d->stride, column = (x + d->left) / d->stride;
            float *here = plane + y * d->width + x;
            float *there =
                dealt + (row % d->stride * d->stride + phase) * d->plane + row / d->stride * d->pitch + column;
            int count = (d->width - x + d->stride - 1) / d->stride;
            count = count < d->pitch - column ? count : d->pitch - column;
            if (d->stride == 1)
                copy(back ? here : there, back ? there : here, count);
            else if (back)
                for (int i = 0; i < count; i++) here[2 * i] = there[i];
            else
                for (int i = 0; i < count; i++) there[i] = here[2 * i];
        }
    }
}

/* out[i] = sum over taps of weight[t] * in[shift[t] + i]; length in whole BLOCKs. */
INLINE void correlate(const float *in, const int *shift, const float *weight, int taps, float *out, int length) {
    for (int i = 0; i < length; i += BLOCK) {
        vec sum[BLOCK / WIDTH] = {0};
        for (int t = 0; t < taps; t++)
            for (int k = 0; k < BLOCK / WIDTH; k++) sum[k] += weight[t] * ((const vec *)(in + shift[t] + i))[k];
        for (int k = 0; k < BLOCK / WIDTH; k++) ((vec *)(out + i))[k] = sum[k];
    }
}

INLINE double dot(const float *x, const float *y, int length) {
    vec sum[4][VECTORS] = {0};
    for (int i = 0; i < length; i += BLOCK)
        for (int k = 0; k < 4; k++)
            for (int v = 0; v < VECTORS; v++) {
                int at = i + k * LANES + v * WIDTH;
                sum[k][v] += *(const vec *)(x + at) * *(const vec *)(y + at);
            }
    for (int v = 0; v < VECTORS; v++) sum[0][v] = (sum[0][v] + sum[1][v]) + (sum[2][v] + sum[3][v]);
    return total(sum[0], LANES);
}

/* Where tap (row, column) reads, from the start of dealt plane 0, and from that of its own. */
INLINE int tap_plane(const struct depthwise *d, int tap) {
    return tap / d->kernel % d->stride * d->stride + tap % d->kernel % d->stride;
}

INLINE int tap_shift(const struct depthwise *d, int tap) {
    return tap / d->kernel / d->stride * d->pitch + tap % d->kernel / d->stride;
}

static void forward_plane(const struct depthwise *d, float *x, const float *weight, float *y, float *work) {
    int shift[64], taps = d->kernel * d->kernel;
    float *out = work + d->stride * d->stride * d->plane;
    for (int t = 0; t < taps; t++) shift[t] = tap_plane(d, t) * d->plane + tap_shift(d, t);
    deal(d, x, work, 0);
    correlate(work, shift, weight, taps, out, d->length);
    for (int row = 0; row < d->out_height; row++) copy(y + row * d->out_width, out + row * d->pitch, d->out_width);
}

/* One plane's gradient, and what it adds to its channel's weight gradient. */
static void backward_plane(const struct depthwise *d, float *x, const float *weight, const float *dy, float *dx,
                           double *dweight, float *work) {
    int taps = d->kernel * d->kernel, planes = d->stride * d->stride;
    float *dealt = work + planes * d->plane;
    float *out = dealt + planes * d->plane + d->reach; /* zeros before and behind it */
    deal(d, x, work, 0);
    for (int row = 0; row < d->out_height; row++) copy(out + row * d->pitch, dy + row * d->out_width, d->out_width);
    for (int t = 0; t < taps; t++)
        dweight[t] += dot(out, work + tap_plane(d, t) * d->plane + tap_shift(d, t), d->length);
    for (int plane = 0; plane < planes; plane++) {
        int shift[64], count = 0;
        float w[64];
        for (int t = 0; t < taps; t++)
            if (tap_plane(d, t) == plane) shift[count] = -tap_shift(d, t), w[count++] = weight[t];
        correlate(out, shift, w, count, dealt + plane * d->plane, d->plane);
    }
    deal(d, dx, dealt, 1);
}

/* dot() adds up the products of one plane by the lane that its output is in: at most two of them share one here. */
static int small_planes(const struct depthwise *d) {
    return is_small(d->batch, d->height * d->width) && (d->out_height - 1) * d->pitch + d->out_width <= 2 * LANES;
}

/* The input's pixel that `tap` reads for output (row, column), or -1 for padding. */
INLINE int pixel_of(const struct depthwise *d, int row, int column, int tap) {
    int y = row * d->stride - d->top + tap / d->kernel, x = column * d->stride - d->left + tap % d->kernel;
    return y < 0 || y >= d->height || x < 0 || x >= d->width ? -1 : y * d->width + x;
}

/* All that is not padding, by output, tap and input, in two orders. `lane` of the output, in dot(). */
struct product {
    int out, tap, in, lane;
};

static int products(const struct depthwise *d, int by_tap, struct product *found) {
    int count = 0, taps = d->kernel * d->kernel, places = 2 * LANES;
    for (int i = 0; i < taps * places; i++) {
        int tap = by_tap ? i / places : i % taps;
        int place = by_tap ? i % 2 * LANES + i % places / 2 : i / taps; /* by tap: lane by lane */
        int row = place / d->pitch, column = place % d->pitch;
        if (row >= d->out_height || column >= d->out_width) continue;
        int in = pixel_of(d, row, column, tap);
        if (in >= 0) found[count++] = (struct product){row * d->out_width + column, tap, in, place % LANES};
    }
    return count;
}

enum { PRODUCTS = 64 * 2 * LANES }; /* more than there can be */

static void forward_small(const struct depthwise *d, const struct product *all, int count, const float *x,
                          const float *weight, float *y, float *work) {
    int64_t pixels = d->height * d->width, outs = d->out_height * d->out_width, width = width_beside(d->batch);
    float *in = work, *out = work + pixels * width;
    beside(x, d->channels * pixels, d->batch, pixels, in);
    for (int64_t n = 0; n < width; n += WIDTH)
        for (int i = 0, o = 0; o < outs; o++) {
            vec sum = {0};
            for (; i < count && all[i].out == o; i++)
                sum += weight[all[i].tap] * *(const vec *)(in + all[i].in * width + n);
            *(vec *)(out + o * width + n) = sum;
        }
    back(out, d->channels * outs, d->batch, outs, y);
}

static void backward_small(const struct depthwise *d, const struct product *all, int count, const float *x,
                           const float *weight, const float *dy, float *dx, double *dweight, float *work) {
    int64_t pixels = d->height * d->width, outs = d->out_height * d->out_width, width = width_beside(d->batch);
    float *in = work, *din = in + pixels * width, *dout = din + pixels * width;
    beside(x, d->channels * pixels, d->batch, pixels, in);
    beside(dy, d->channels * outs, d->batch, outs, dout);
    memset(din, 0, pixels * width * sizeof(float));
    for (int64_t n = 0; n < width; n += WIDTH)
        for (int i = 0; i < count;) {
            int tap = all[i].tap;
            dvec sum[2] = {0};
            while (i < count && all[i].tap == tap) {
                vec part = {0};
                for (int lane = all[i].lane; i < count && all[i].tap == tap && all[i].lane == lane; i++) {
                    vec from = *(vec *)(dout + all[i].out * width + n);
                    part += from * *(vec *)(in + all[i].in * width + n);
                    *(vec *)(din + all[i].in * width + n) += weight[tap] * from;
                }
                add(sum, part);
            }
            add_up(sum, d->batch - n, dweight + tap);
        }
    back(din, d->channels * pixels, d->batch, pixels, dx);
}

static int depthwise(void **params, int64_t **shapes, int same) {
    struct depthwise d = depthwise_of(shapes[0], shapes[1], shapes[2], same);
    struct product all[PRODUCTS];
    float *x = params[0], *weight = params[1], *y = params[2];
    const int64_t in = d.height * d.width, out = d.out_height * d.out_width;
    int failed = d.kernel > 8, taps = d.kernel * d.kernel, small = !failed && small_planes(&d);
    int count = small ? products(&d, 0, all) : 0, tasks = small ? d.channels : d.batch * d.channels;
    size_t size = small ? (in + out) * width_beside(d.batch) : d.stride * d.stride * d.plane + d.length;
#pragma omp parallel
    {
        float *work = calloc(size, sizeof(float));
#pragma omp for schedule(static)
        for (int i = 0; i < tasks; i++) { /* a channel of small planes, or one plane */
            if (!work || failed) continue;
            const float *w = weight + i % d.channels * taps;
            if (small)
                forward_small(&d, all, count, x + i * in, w, y + i * out, work);
            else
                forward_plane(&d, x + i * in, w, y + i * out, work);
        }
        if (!work)
#pragma omp atomic write
            failed = 1;
        free(work);
    }
    return failed;
}

/* (x, weight, dy) -> (dx, dweight) */
static int depthwise_grad(void **params, int64_t **shapes, int same) {
    struct depthwise d = depthwise_of(shapes[0], shapes[1], shapes[2], same);
    struct product all[PRODUCTS];
    float *x = params[0], *weight = params[1], *dy = params[2], *dx = params[3], *dweight = params[4];
    const int64_t in = d.height * d.width, out = d.out_height * d.out_width;
    int failed = d.kernel > 8, taps = d.kernel * d.kernel, small = !failed && small_planes(&d);
    int count = small ? products(&d, 1, all) : 0;
    size_t size =
        small ? (2 * in + out) * width_beside(d.batch) : 2 * d.stride * d.stride * d.plane + d.plane + 2 * d.reach;
#pragma omp parallel
    {
        float *work = calloc(size, sizeof(float));
#pragma omp for schedule(static)
        for (int c = 0; c < d.channels; c++) {
            double sum[64] = {0};
            if (!work || failed) continue;
            if (small)
                backward_small(&d, all, count, x + c * in, weight + c * taps, dy + c * out, dx + c * in, sum, work);
            for (int n = 0; n < (small ? 0 : d.batch); n++) {
                int64_t i = n * d.channels + c;
                memset(dx + i * in, 0, sizeof(float) * in); /* a last row or column that no tap reaches */
                backward_plane(&d, x + i * in, weight + c * taps, dy + i * out, dx + i * in, sum, work);
            }
            for (int t = 0; t < taps; t++) dweight[c * taps + t] = sum[t];
        }
        if (!work)
#pragma omp atomic write
            failed = 1;
        free(work);
    }
    return failed;
}

OPERATOR(depthwise_same) { return depthwise(params, shapes, 1); }
OPERATOR(depthwise_symmetric) { return depthwise(params, shapes, 0); }
OPERATOR(depthwise_same_grad) { return depthwise_grad(params, shapes, 1); }
OPERATOR(depthwise_symmetric_grad) { return depthwise_grad(params, shapes, 0); }

/* --- batch normalisation and what comes after it; frozen: by given statistics, which are constants --- */

struct norm {
    int64_t batch, channels, size; /* size: numbers in a plane */
    enum activation act;
    int frozen;
    float gamma, beta, mean, scale; /* of one channel; scale: 1 / sqrt(variance + eps) */
};

/* One channel's mean and (biased) variance over the batch in two passes; the second finds its planes in the cache. */
static void statistics(const struct norm *b, const float *x, float *mean, float *variance) {
    double sum = 0, square = 0;
    for (int64_t n = 0; n < b->batch; n++) {
        vec s[VECTORS] = {0};
        for (int64_t i = 0; i < b->size; i += LANES)
            for (int v = 0; v < VECTORS; v++)
                s[v] += load(x + n * b->channels * b->size + i + v * WIDTH, b->size - i - v * WIDTH, 0);
        sum += total(s, b->size);
    }
    *mean = sum / (b->batch * b->size);
    for (int64_t n = 0; n < b->batch; n++) {
        vec s[VECTORS] = {0};
        for (int64_t i = 0; i < b->size; i += LANES)
            for (int v = 0; v < VECTORS; v++) {
                vec away = load(x + n * b->channels * b->size + i + v * WIDTH, b->size - i - v * WIDTH, *mean) - *mean;
                s[v] += away * away;
            }
        square += total(s, b->size);
    }
    *variance = square / (b->batch * b->size);
}

/* The same of planes side by side. */
static void statistics_small(const struct norm *b, const float *work, float *mean, float *variance) {
    int64_t width = width_beside(b->batch);
    for (int pass = 0; pass < 2; pass++) {
        double sum = 0;
        for (int64_t n = 0; n < width; n += WIDTH) {
            dvec s[2] = {0};
            for (int64_t p = 0; p < b->size; p++) {
                vec v = *(const vec *)(work + p * width + n);
                if (pass) v = (v - *mean) * (v - *mean);
                add(s, v);
            }
            add_up(s, b->batch - n, &sum);
        }
        *(pass ? variance : mean) = sum / (b->batch * b->size);
    }
}

static void normalize_small(const struct norm *b, float *work) {
    float factor = b->gamma * b->scale, shift = b->beta - b->mean * factor;
    for (int64_t i = 0; i < b->size * width_beside(b->batch); i += WIDTH) {
        *(vec *)(work + i) = activated(*(vec *)(work + i) * factor + shift, b->act);
    }
}

static void normalize(const struct norm *b, const float *x, float *y) {
    float factor = b->gamma * b->scale, shift = b->beta - b->mean * factor;
    for (int64_t n = 0; n < b->batch; n++)
        for (int64_t i = 0; i < b->size; i += WIDTH) {
            int64_t at = n * b->channels * b->size + i, left = b->size - i;
            store(y + at, left, activated(load(x + at, left, 0) * factor + shift, b->act));
        }
}

/* dx, and the gradients of gamma and beta, which are the sums that dx needs. dx first holds the gradient before
 * normalisation. */
static void normalize_grad(const struct norm *b, const float *x, const float *dy, float *dx, float *dgamma,
                           float *dbeta) {
    double sum = 0, along = 0;
    for (int64_t n = 0; n < b->batch; n++) {
        vec s[VECTORS] = {0}, a[VECTORS] = {0};
        for (int64_t i = 0; i < b->size; i += LANES)
            for (int v = 0; v < VECTORS; v++) {
                int64_t at = n * b->channels * b->size + i + v * WIDTH, left = b->size - i - v * WIDTH;
                vec unit = (load(x + at, left, b->mean) - b->mean) * b->scale, d = load(dy + at, left, 0);
                d = through(d, unit * b->gamma + b->beta, b->act);
                s[v] += d;
                a[v] += d * unit;
                if (b->frozen) d *= b->gamma * b->scale;
                store(dx + at, left, d);
            }
        sum += total(s, b->size);
        along += total(a, b->size);
    }
    *dbeta = sum, *dgamma = along;
    if (b->frozen) return;
    float mean = sum / (b->batch * b->size), slope = along / (b->batch * b->size);
    for (int64_t n = 0; n < b->batch; n++)
        for (int64_t i = 0; i < b->size; i += WIDTH) {
            int64_t at = n * b->channels * b->size + i, left = b->size - i;
            vec unit = (load(x + at, left, b->mean) - b->mean) * b->scale;
            store(dx + at, left, (load(dx + at, left, 0) - mean - unit * slope) * (b->gamma * b->scale));
        }
}

/* The same of planes side by side; d becomes dx. */
static void normalize_grad_small(const struct norm *b, const float *x, float *d, float *dgamma, float *dbeta) {
    int64_t width = width_beside(b->batch);
    double sum = 0, along = 0;
    for (int64_t n = 0; n < width; n += WIDTH) {
        dvec s[2] = {0}, a[2] = {0};
        for (int64_t at = n; at < b->size * width; at += width) {
            vec unit = (*(const vec *)(x + at) - b->mean) * b->scale, slope = *(vec *)(d + at);
            slope = through(slope, unit * b->gamma + b->beta, b->act);
            add(s, slope);
            add(a, slope * unit);
            if (b->frozen) slope *= b->gamma * b->scale;
            *(vec *)(d + at) = slope;
        }
        add_up(s, b->batch - n, &sum);
        add_up(a, b->batch - n, &along);
    }
    *dbeta = sum, *dgamma = along;
    if (b->frozen) return;
    float mean = sum / (b->batch * b->size), slope = along / (b->batch * b->size);
    for (int64_t at = 0; at < b->size * width; at += WIDTH) {
        vec unit = (*(const vec *)(x + at) - b->mean) * b->scale;
        *(vec *)(d + at) = (*(vec *)(d + at) - mean - unit * slope) * (b->gamma * b->scale);
    }
}

static struct norm norm_of(const int64_t *shape, enum activation act, int frozen) {
    return (struct norm){shape[0], shape[1], shape[2] * shape[3], act, frozen};
}

/* (x, gamma, beta, eps) -> (y, mean, variance); frozen: (x, gamma, beta, eps, mean, variance) -> y */
static int batch_norm_(void **params, int64_t **shapes, enum activation act, int frozen) {
    const float *x = params[0], *gamma = params[1], *beta = params[2], *eps = params[3];
    float *y = params[frozen ? 6 : 4], *mean = params[frozen ? 4 : 5], *variance = params[frozen ? 5 : 6];
    const struct norm whole = norm_of(shapes[0], act, frozen);
    const int64_t small = is_small(whole.batch, whole.size) ? whole.size * width_beside(whole.batch) : 0;
    int failed = 0;
#pragma omp parallel
    {
        float *work = malloc((small + 1) * sizeof(float));
#pragma omp for schedule(static)
        for (int64_t c = 0; c < whole.channels; c++) {
            struct norm b = whole;
            if (!work) continue;
            if (small) {
                beside(x + c * b.size, b.channels * b.size, b.batch, b.size, work);
                if (!frozen) statistics_small(&b, work, mean + c, variance + c);
            } else if (!frozen)
                statistics(&b, x + c * b.size, mean + c, variance + c);
            b.gamma = gamma[c], b.beta = beta[c], b.mean = mean[c], b.scale = 1 / sqrtf(variance[c] + *eps);
            if (small) {
                normalize_small(&b, work);
                back(work, b.channels * b.size, b.batch, b.size, y + c * b.size);
            } else
                normalize(&b, x + c * b.size, y + c * b.size);
        }
        if (!work)
#pragma omp atomic write
            failed = 1;
        free(work);
    }
    return failed;
}

/* (x, gamma, beta, eps, mean, variance, dy) -> (dx, dgamma, dbeta) */
static int batch_norm_grad_(void **params, int64_t **shapes, enum activation act, int frozen) {
    const float *x = params[0], *gamma = params[1], *beta = params[2], *eps = params[3];
    const float *mean = params[4], *variance = params[5], *dy = params[6];
    float *dx = params[7], *dgamma = params[8], *dbeta = params[9];
    const struct norm whole = norm_of(shapes[0], act, frozen);
    const int64_t small = is_small(whole.batch, whole.size) ? whole.size * width_beside(whole.batch) : 0;
    int failed = 0;
#pragma omp parallel
    {
        float *work = malloc((2 * small + 1) * sizeof(float));
#pragma omp for schedule(static)
        for (int64_t c = 0; c < whole.channels; c++) {
            struct norm b = whole;
            if (!work) continue;
            b.gamma = gamma[c], b.beta = beta[c], b.mean = mean[c], b.scale = 1 / sqrtf(variance[c] + *eps);
            if (small) {
                beside(x + c * b.size, b.channels * b.size, b.batch, b.size, work);
                beside(dy + c * b.size, b.channels * b.size, b.batch, b.size, work + small);
                normalize_grad_small(&b, work, work + small, dgamma + c, dbeta + c);
                back(work + small, b.channels * b.size, b.batch, b.size, dx + c * b.size);
            } else
                normalize_grad(&b, x + c * b.size, dy + c * b.size, dx + c * b.size, dgamma + c, dbeta + c);
        }
        if (!work)
#pragma omp atomic write
            failed = 1;
        free(work);
    }
    return failed;
}

#define NORM(name, act, frozen)                                         \
    OPERATOR(name) { return batch_norm_(params, shapes, act, frozen); } \
    OPERATOR(name##_grad) { return batch_norm_grad_(params, shapes, act, frozen); }
NORM(batch_norm, NONE, 0)
NORM(batch_norm_swish, SWISH, 0)
NORM(batch_norm_relu6, RELU6, 0)
NORM(frozen_norm, NONE, 1)
NORM(frozen_norm_swish, SWISH, 1)
NORM(frozen_norm_relu6, RELU6, 1)

/* --- sigmoid and swish, for what is not behind a batch normalisation --- */

enum { PART = 1 << 14 }; /* numbers that are worth a thread */

/* f of each number of x, and with dy of that at the same place */
#define ELEMENTWISE(name, expression)                                                                             \
    OPERATOR(name) {                                                                                              \
        const float *x = params[0], *dy = params[count - 2];                                                      \
        const int64_t size = size_of(ndims[0], shapes[0]);                                                        \
        float *y = params[count - 1];                                                                             \
        _Pragma("omp parallel for schedule(static) if (size > PART)") for (int64_t i = 0; i < size; i += WIDTH) { \
            vec z = load(x + i, size - i, 0), s = sigmoid(z), d = load(dy + i, size - i, 0);                      \
            store(y + i, size - i, expression);                                                                   \
        }                                                                                                         \
        return 0;                                                                                                 \
    }
ELEMENTWISE(sigmoid_, s)
ELEMENTWISE(sigmoid_grad, d * s * (1 - s))
ELEMENTWISE(swish_, (z * s))
ELEMENTWISE(swish_grad, (d * s + z * d * s * (1 - s)))

/* --- squeeze-and-excitation: each plane times its gate --- */

static void scale_plane(const float *x, float gate, float *y, int64_t size) {
    for (int64_t i = 0; i < size; i++) y[i] = x[i] * gate;
}

static float scale_plane_grad(const float *x, float gate, const float *dy, float *dx, int64_t size) {
    vec sum[VECTORS] = {0};
    for (int64_t i = 0; i < size; i += LANES)
        for (int v = 0; v < VECTORS; v++) {
            int64_t at = i + v * WIDTH;
            vec d = load(dy + at, size - at, 0);
            sum[v] += d * load(x + at, size - at, 0);
            store(dx + at, size - at, d * gate);
        }
    return total(sum, size);
}

/* (x, gate) -> x * gate */
OPERATOR(scale) {
    const float *x = params[0], *gate = params[1];
    float *y = params[2];
    int64_t size = shapes[0][2] * shapes[0][3];
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < shapes[0][0] * shapes[0][1]; i++) scale_plane(x + i * size, gate[i], y + i * size, size);
    return 0;
}

/* (x, gate, dy) -> (dx, dgate) */
OPERATOR(scale_grad) {
    const float *x = params[0], *gate = params[1], *dy = params[2];
    float *dx = params[3], *dgate = params[4];
    int64_t size = shapes[0][2] * shapes[0][3];
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < shapes[0][0] * shapes[0][1]; i++)
        dgate[i] = scale_plane_grad(x + i * size, gate[i], dy + i * size, dx + i * size, size);
    return 0;
}

/* (x, dout (N, C)) -> dx of x's shape, for the mean of each plane */
OPERATOR(spread) {
    const float *dout = params[1];
    float *dx = params[2];
    const int64_t size = shapes[0][2] * shapes[0][3];
    const float share = 1.0 / size;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < shapes[0][0] * shapes[0][1]; i++) {
        float d = dout[i] * share;
        for (int64_t k = 0; k < size; k += WIDTH) store(dx + i * size + k, size - k, (vec){0} + d);
    }
    return 0;
}

/* changes the running (mean, variance) by the batch's (mean, biased variance) of x (N, C, H, W), {share of the old,
 * share of the new} */
OPERATOR(follow_statistics) {
    float *moving_mean = params[0], *moving_variance = params[1];
    const float *mean = params[2], *variance = params[3], *share = params[5];
    const int64_t number = shapes[4][0] * shapes[4][2] * shapes[4][3];
    const float unbiased = (double)number / (number - 1);
    for (int64_t c = 0; c < shapes[0][0]; c++) {
        moving_mean[c] = share[0] * moving_mean[c] + share[1] * mean[c];
        moving_variance[c] = share[0] * moving_variance[c] + share[1] * variance[c] * unbiased;
    }
    *(float *)params[6] = 0;
    return 0;
}
