/* Pillow's resampling (src/libImaging/Resample.c): a filter stretched by the scale when shrinking, weights in 22-bit fixed point, first
 * along x, rounded to 8 bits, then along y. Integer sums have one value in whatever order they are taken, so vectors change no byte.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "resample.h"

enum { FRACTION = 22 };

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_CPU
#endif
#define INLINE static inline __attribute__((always_inline))

typedef uint8_t bytes8 __attribute__((vector_size(8)));
typedef int32_t ints8 __attribute__((vector_size(32)));
typedef uint8_t bytes4 __attribute__((vector_size(4)));
typedef int32_t ints4 __attribute__((vector_size(16)));

static double bilinear(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

int axis_init(struct axis *axis, int size, double low, double high, int full, int offset, int count, int filter) {
    double (*weigh)(double) = filter == IMAGE_BICUBIC ? bicubic : bilinear;
    double scale = (high - low) / full, stretch = scale < 1.0 ? 1.0 : scale, step = 1.0 / stretch;
    double support = (filter == IMAGE_BICUBIC ? 2.0 : 1.0) * stretch;
    axis->count = count;
    axis->weight = NULL;
    axis->start = malloc(count * sizeof *axis->start);
    int *stop = malloc(count * sizeof *stop);
    if (!axis->start || !stop) {
        free(stop);
        return -1;
    }
    axis->taps = axis->end = 0;
    axis->first = size;
    for (int i = 0; i < count; i++) {
        double centre = low + (offset + i + 0.5) * scale;
        int from = (int)(centre - support + 0.5), to = (int)(centre + support + 0.5);
        axis->start[i] = from < 0 ? 0 : from;
        if (axis->start[i] < axis->first) axis->first = axis->start[i];
        stop[i] = to > size ? size : to;
        if (stop[i] - axis->start[i] > axis->taps) axis->taps = stop[i] - axis->start[i];
        if (stop[i] > axis->end) axis->end = stop[i];
    }
    axis->weight = calloc((size_t)count * axis->taps, sizeof *axis->weight);
    double *weights = malloc(axis->taps * sizeof *weights);
    for (int i = 0; axis->weight && weights && i < count; i++) {
        int from = axis->start[i], n = stop[i] - from;
        double centre = low + (offset + i + 0.5) * scale, sum = 0.0;
        for (int t = 0; t < n; t++) sum += weights[t] = weigh((t + from - centre + 0.5) * step);
        /* The same number of taps for all outputs spares the loops a branch; the extra ones weigh nothing and lie in the source. */
        int shifted = from < axis->end - axis->taps ? from : axis->end - axis->taps;
        int32_t *weight = axis->weight + (size_t)i * axis->taps + (from - shifted);
        for (int t = 0; t < n; t++) {
            double w = (sum != 0.0 ? weights[t] / sum : weights[t]) * (1 << FRACTION);
            weight[t] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
        }
        axis->start[i] = shifted - axis->first;
    }
    int failed = !axis->weight || !weights;
    free(weights);
    free(stop);
    return failed ? -1 : 0;
}

void axis_free(struct axis *axis) {
    free(axis->start);
    free(axis->weight);
    axis->start = NULL;
    axis->weight = NULL;
}

int resampler_init(struct resampler *r, const struct axis *x, const struct axis *y, int flip, uint8_t *out) {
    int pairs = (x->taps + 1) / 2;
    *r = (struct resampler){.x = x, .y = y, .flip = flip, .stride = x->count * 3 + 8, .out = out};
    r->weights = calloc((size_t)x->count * pairs, sizeof(ints8));
    r->ring = malloc((size_t)y->taps * r->stride + 8);
    if (!r->weights || !r->ring) return -1;
    for (int i = 0; i < x->count; i++)
        for (int t = 0; t < x->taps; t++)
            for (int c = 0; c < 4; c++) r->weights[(i * pairs + t / 2) * 8 + t % 2 * 4 + c] = x->weight[i * x->taps + t];
    return 0;
}

void resampler_free(struct resampler *r) {
    free(r->weights);
    free(r->ring);
    r->weights = NULL;
    r->ring = NULL;
}

/* A vector of sums, rounding included, to the bytes they stand for. */
#define TO_BYTES(sum)                                                \
    do {                                                             \
        sum >>= FRACTION;                                            \
        sum &= ~(sum >> 31);                      /* negative: 0 */  \
        sum = (sum | ((255 - sum) >> 31)) & 255;  /* above 255: 255 */ \
    } while (0)

INLINE void resize_x(const struct resampler *r, const uint8_t *pixels, uint8_t *to, int pairs) {
    const struct axis *x = r->x;
    for (int i = 0; i < x->count; i++) {
        int source = r->flip ? x->count - 1 - i : i;
        const uint8_t *from = pixels + 4 * x->start[source];
        const int32_t *weight = r->weights + (size_t)source * pairs * 8;
        ints8 sum = {1 << (FRACTION - 1), 1 << (FRACTION - 1), 1 << (FRACTION - 1), 1 << (FRACTION - 1)};
        for (int p = 0; p < pairs; p++) {
            bytes8 pixel;
            ints8 w;
            memcpy(&pixel, from + 8 * p, 8);
            memcpy(&w, weight + 8 * p, 32);
            sum += __builtin_convertvector(pixel, ints8) * w;
        }
        ints4 total = __builtin_shufflevector(sum, sum, 0, 1, 2, 3) + __builtin_shufflevector(sum, sum, 4, 5, 6, 7);
        TO_BYTES(total);
        bytes4 byte = __builtin_convertvector(total, bytes4);
        memcpy(to + 3 * i, &byte, 4); /* the fourth byte is the next pixel's first: left to right */
    }
}

FOR_EACH_CPU static void resize_row_x(const struct resampler *r, const uint8_t *pixels, uint8_t *to) {
    switch ((r->x->taps + 1) / 2) { /* a known number of turns lets the compiler unroll */
        case 1: resize_x(r, pixels, to, 1); break;
        case 2: resize_x(r, pixels, to, 2); break;
        case 3: resize_x(r, pixels, to, 3); break;
        default: resize_x(r, pixels, to, (r->x->taps + 1) / 2);
    }
}

FOR_EACH_CPU static void resize_row_y(const struct resampler *r, int i, uint8_t *to) {
    const int32_t *weight = r->y->weight + (size_t)i * r->y->taps;
    int taps = r->y->taps, start = r->y->start[i], width = r->x->count * 3;
    for (int b = 0; b < width; b += 8) {
        ints8 sum = {0};
        sum += 1 << (FRACTION - 1);
        for (int t = 0, slot = start % taps; t < taps; t++, slot = slot + 1 == taps ? 0 : slot + 1) {
            bytes8 byte;
            memcpy(&byte, r->ring + (size_t)slot * r->stride + b, 8);
            sum += __builtin_convertvector(byte, ints8) * weight[t];
        }
        TO_BYTES(sum);
        bytes8 byte = __builtin_convertvector(sum, bytes8);
        if (width - b < 8)
            memcpy(to + b, &byte, width - b);
        else
            memcpy(to + b, &byte, 8);
    }
}

void resampler_row(struct resampler *r, const uint8_t *pixels) {
    const struct axis *y = r->y;
    resize_row_x(r, pixels, r->ring + (size_t)(r->row % y->taps) * r->stride);
    while (r->made < y->count && y->start[r->made] + y->taps - 1 <= r->row) {
        resize_row_y(r, r->made, r->out + (size_t)r->made * r->x->count * 3);
        r->made++;
    }
    r->row++;
}

/* A box of a picture in memory, `pixels`, to the `window` (left, top, width, height) of the box resized to full_width * full_height. */
static int resize(const uint8_t *pixels, int width, int height, const double box[4], int filter, int full_width, int full_height,
                  const int window[4], uint8_t *out, char *error) {
    struct axis x = {0}, y = {0};
    struct resampler r = {0};
    uint8_t *row = NULL;
    int failed = axis_init(&x, width, box[0], box[2], full_width, window[0], window[2], filter) ||
                 axis_init(&y, height, box[1], box[3], full_height, window[1], window[3], filter) || resampler_init(&r, &x, &y, 0, out) ||
                 !(row = calloc(x.end - x.first + 1, 4));
    for (int i = y.first; !failed && i < y.end; i++) {
        const uint8_t *from = pixels + ((size_t)i * width + x.first) * 3;
        for (int j = 0; j < x.end - x.first; j++) {
            row[4 * j] = from[3 * j];
            row[4 * j + 1] = from[3 * j + 1];
            row[4 * j + 2] = from[3 * j + 2];
        }
        resampler_row(&r, row);
    }
    free(row);
    resampler_free(&r);
    axis_free(&x);
    axis_free(&y);
    if (failed) snprintf(error, IMAGE_ERROR_SIZE, "out of memory");
    return failed ? IMAGE_BAD : IMAGE_OK;
}

int image_resize(const uint8_t *pixels, int width, int height, const double box[4], int filter, int out_width, int out_height,
                 uint8_t *out, char *error) {
    int inside = box[0] >= 0 && box[1] >= 0 && box[0] < box[2] && box[1] < box[3] && box[2] <= width && box[3] <= height;
    if (!inside || out_width < 1 || out_height < 1) {
        snprintf(error, IMAGE_ERROR_SIZE, "cannot resize box %g %g %g %g of %dx%d pixels to %dx%d", box[0], box[1], box[2], box[3], width,
                 height, out_width, out_height);
        return IMAGE_BAD;
    }
    return resize(pixels, width, height, box, filter, out_width, out_height, (int[]){0, 0, out_width, out_height}, out, error);
}

int eval_geometry(int width, int height, int side, int crop_width, int crop_height, int *full_width, int *full_height, int window[4],
                  char *error) {
    *full_width = width <= height ? side : (int)((int64_t)side * width / height);
    *full_height = width <= height ? (int)((int64_t)side * height / width) : side;
    if (crop_width < 1 || crop_height < 1 || crop_width > *full_width || crop_height > *full_height) {
        snprintf(error, IMAGE_ERROR_SIZE, "a crop of %dx%d does not fit into the picture resized to %dx%d", crop_width, crop_height,
                 *full_width, *full_height);
        return IMAGE_BAD;
    }
    int left = *full_width - crop_width, top = *full_height - crop_height;
    window[0] = left / 2 + (left % 2 && left / 2 % 2); /* a half goes to the even side, as Python's round() has it */
    window[1] = top / 2 + (top % 2 && top / 2 % 2);
    window[2] = crop_width;
    window[3] = crop_height;
    return IMAGE_OK;
}

int image_eval_pixels(const uint8_t *pixels, int width, int height, int side, int filter, int crop_width, int crop_height, uint8_t *out,
                      char *error) {
    int full_width, full_height, window[4];
    if (eval_geometry(width, height, side, crop_width, crop_height, &full_width, &full_height, window, error)) return IMAGE_BAD;
    const double box[4] = {0, 0, width, height};
    return resize(pixels, width, height, box, filter, full_width, full_height, window, out, error);
}
