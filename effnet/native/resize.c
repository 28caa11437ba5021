/* Pillow's resampling (src/libImaging/Resample.c of 13.0): a filter stretched by the scale when shrinking, weights in 22-bit fixed point,
 * one direction after the other with rounding to 8 bits between. Integer sums have one value in whatever order they are taken, so
 * vectors change no byte.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "resample.h"

enum { FRACTION = 22, HALF = 1 << (FRACTION - 1) };

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_CPU
#endif

typedef uint8_t bytes4 __attribute__((vector_size(4)));
typedef uint8_t bytes8 __attribute__((vector_size(8)));
typedef int32_t ints4 __attribute__((vector_size(16)));
typedef int32_t ints8 __attribute__((vector_size(32)));

/* A vector of sums, HALF included, to bytes: negative is 0, above 255 is 255. */
#define TO_BYTES(sum) ((sum) >>= FRACTION, (sum) &= ~((sum) >> 31), (sum) = ((sum) | ((255 - (sum)) >> 31)) & 255)

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

/* Outputs offset to offset + count of the span low..high of `size` source positions resized to `full`. Pillow's spans are floats. */
static int axis_init(struct axis *axis, int size, float low, float high, int full, int offset, int count, int filter) {
    double (*weigh)(double) = filter == IMAGE_BICUBIC ? bicubic : bilinear;
    double scale = (double)(high - low) / full, stretch = scale < 1.0 ? 1.0 : scale, step = 1.0 / stretch;
    double support = (filter == IMAGE_BICUBIC ? 2.0 : 1.0) * stretch;
    int *stop = malloc(count * sizeof *stop);
    axis->start = malloc(count * sizeof *axis->start);
    if (!stop || !axis->start) goto failed;
    axis->count = count;
    axis->taps = axis->end = 0;
    axis->first = size;
    for (int i = 0; i < count; i++) {
        double centre = low + (offset + i + 0.5) * scale;
        int from = (int)(centre - support + 0.5), to = (int)(centre + support + 0.5);
        from = axis->start[i] = from < 0 ? 0 : from;
        to = stop[i] = to > size ? size : to;
        if (from < axis->first) axis->first = from;
        if (to > axis->end) axis->end = to;
        if (to - from > axis->taps) axis->taps = to - from;
    }
    axis->weight = calloc((size_t)count * axis->taps, sizeof *axis->weight);
    double *weights = malloc(axis->taps * sizeof *weights);
    if (!axis->weight || !weights) {
        free(weights);
        goto failed;
    }
    for (int i = 0; i < count; i++) {
        int from = axis->start[i], n = stop[i] - from, last = axis->end - axis->taps;
        double centre = low + (offset + i + 0.5) * scale, sum = 0.0;
        for (int t = 0; t < n; t++) sum += weights[t] = weigh((t + from - centre + 0.5) * step);
        /* The same number of taps for all outputs spares the loops a branch; the extra ones weigh nothing and lie within the source. */
        int start = from < last ? from : last;
        int32_t *weight = axis->weight + (size_t)i * axis->taps + (from - start);
        for (int t = 0; t < n; t++) {
            double w = (sum != 0.0 ? weights[t] / sum : weights[t]) * (1 << FRACTION);
            weight[t] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
        }
        axis->start[i] = start - axis->first;
    }
    free(weights);
    free(stop);
    return 0;
failed:
    free(stop);
    return -1;
}

int resampler_init(struct resampler *r, int width, int height, const struct resize *how, uint8_t *out) {
    memset(r, 0, sizeof *r);
    r->flip = how->flip;
    r->out = out;
    /* Pillow 13 shrinks y first where the picture loses over twice as many rows as columns; Pillow 12 always began with x. */
    r->x_first = !(height > how->height && height - how->height > 2 * (width - how->width));
    if (axis_init(&r->x, width, how->box[0], how->box[2], how->width, how->left, how->out_width, how->filter)) return -1;
    if (axis_init(&r->y, height, how->box[1], how->box[3], how->height, how->top, how->out_height, how->filter)) return -1;
    int pairs = (r->x.taps + 1) / 2;
    r->stride = (r->x_first ? r->x.count * 3 : (r->x.end - r->x.first) * 4) + 8; /* whole vectors may be read and written */
    r->weights = calloc((size_t)r->x.count * pairs, sizeof(ints8));
    r->ring = calloc(r->y.taps, r->stride);
    r->line = malloc(r->stride + r->x.count * 3 + 8);
    if (!r->weights || !r->ring || !r->line) return -1;
    for (int i = 0; i < r->x.count; i++)
        for (int t = 0; t < r->x.taps; t++)
            for (int c = 0; c < 4; c++) r->weights[(i * pairs + t / 2) * 8 + t % 2 * 4 + c] = r->x.weight[i * r->x.taps + t];
    return 0;
}

void resampler_free(struct resampler *r) {
    free(r->x.start);
    free(r->x.weight);
    free(r->y.start);
    free(r->y.weight);
    free(r->weights);
    free(r->ring);
    free(r->line);
}

static inline __attribute__((always_inline)) void resize_x_by(const struct resampler *r, const uint8_t *pixels, uint8_t *to, int pairs) {
    for (int i = 0, count = r->x.count; i < count; i++) {
        int source = r->flip ? count - 1 - i : i;
        const uint8_t *from = pixels + 4 * r->x.start[source];
        const int32_t *weight = r->weights + (size_t)source * pairs * 8;
        ints8 sum = {HALF, HALF, HALF, HALF};
        for (int p = 0; p < pairs; p++) {
            bytes8 pixel;
            ints8 w;
            memcpy(&pixel, from + 8 * p, 8);
            memcpy(&w, weight + 8 * p, 32);
            sum += __builtin_convertvector(pixel, ints8) * w;
        }
        ints4 both = __builtin_shufflevector(sum, sum, 0, 1, 2, 3) + __builtin_shufflevector(sum, sum, 4, 5, 6, 7);
        TO_BYTES(both);
        bytes4 byte = __builtin_convertvector(both, bytes4);
        memcpy(to + 3 * i, &byte, 4); /* the fourth byte gives way to the next pixel */
    }
}

/* A row of 4 bytes a pixel to one of 3, and a byte more. */
FOR_EACH_CPU static void resize_x(const struct resampler *r, const uint8_t *pixels, uint8_t *to) {
    switch ((r->x.taps + 1) / 2) { /* a known number of turns lets the compiler unroll */
        case 1: resize_x_by(r, pixels, to, 1); break;
        case 2: resize_x_by(r, pixels, to, 2); break;
        case 3: resize_x_by(r, pixels, to, 3); break;
        default: resize_x_by(r, pixels, to, (r->x.taps + 1) / 2);
    }
}

/* Output row i of the ring's rows, `count` bytes. */
FOR_EACH_CPU static void resize_y(const struct resampler *r, int i, uint8_t *to, int count) {
    const int taps = r->y.taps, start = r->y.start[i] % taps;
    const int32_t *weight = r->y.weight + (size_t)i * taps;
    for (int b = 0; b < count; b += 8) {
        ints8 sum = {HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF};
        for (int t = 0, slot = start; t < taps; t++, slot = slot + 1 == taps ? 0 : slot + 1) {
            bytes8 byte;
            memcpy(&byte, r->ring + (size_t)slot * r->stride + b, 8);
            sum += __builtin_convertvector(byte, ints8) * weight[t];
        }
        TO_BYTES(sum);
        bytes8 byte = __builtin_convertvector(sum, bytes8);
        if (count - b >= 8)
            memcpy(to + b, &byte, 8);
        else
            memcpy(to + b, &byte, count - b);
    }
}

void resampler_row(struct resampler *r, const uint8_t *pixels) {
    const int width = r->x.count * 3, source_width = (r->x.end - r->x.first) * 4;
    uint8_t *slot = r->ring + (size_t)(r->row % r->y.taps) * r->stride;
    if (r->x_first)
        resize_x(r, pixels, slot);
    else
        memcpy(slot, pixels, source_width);
    for (; r->made < r->y.count && r->y.start[r->made] + r->y.taps - 1 <= r->row; r->made++) {
        uint8_t *to = r->out + (size_t)r->made * width;
        if (r->x_first) {
            resize_y(r, r->made, to, width);
        } else {
            resize_y(r, r->made, r->line, source_width);
            resize_x(r, r->line, r->line + r->stride);
            memcpy(to, r->line + r->stride, width);
        }
    }
    r->row++;
}

static int resize_pixels(const uint8_t *pixels, int width, int height, const struct resize *how, uint8_t *out, char *error) {
    struct resampler r;
    uint8_t *row = NULL;
    int failed = resampler_init(&r, width, height, how, out) || !(row = calloc(r.x.end - r.x.first + 1, 4));
    for (int i = r.y.first; !failed && i < r.y.end; i++) {
        const uint8_t *from = pixels + ((size_t)i * width + r.x.first) * 3;
        for (int j = 0; j < r.x.end - r.x.first; j++)
            for (int c = 0; c < 3; c++) row[4 * j + c] = from[3 * j + c];
        resampler_row(&r, row);
    }
    free(row);
    resampler_free(&r);
    if (failed) snprintf(error, IMAGE_ERROR_SIZE, "out of memory");
    return failed ? IMAGE_BAD : IMAGE_OK;
}

int image_resize(const uint8_t *pixels, int width, int height, const double box[4], int filter, int out_width, int out_height,
                 uint8_t *out, char *error) {
    int inside = box[0] >= 0 && box[1] >= 0 && box[0] < box[2] && box[1] < box[3] && box[2] <= width && box[3] <= height;
    if (!inside || out_width < 1 || out_height < 1) {
        snprintf(error, IMAGE_ERROR_SIZE, "cannot resize box %g %g %g %g of %d x %d pixels to %d x %d", box[0], box[1], box[2], box[3],
                 width, height, out_width, out_height);
        return IMAGE_BAD;
    }
    struct resize how = {{box[0], box[1], box[2], box[3]}, filter, out_width, out_height, 0, 0, out_width, out_height, 0};
    return resize_pixels(pixels, width, height, &how, out, error);
}

/* Half of n, a half rounded to the even side as Python's round() does. */
static int half(int n) { return n / 2 + (n % 2 && n / 2 % 2); }

int eval_resize(int width, int height, int side, int filter, int crop_width, int crop_height, struct resize *how, char *error) {
    int64_t longer = (int64_t)side * (width > height ? width : height) / (width > height ? height : width);
    int full_width = width > height ? (int)longer : side, full_height = width > height ? side : (int)longer;
    if (crop_width < 1 || crop_height < 1 || crop_width > full_width || crop_height > full_height) {
        snprintf(error, IMAGE_ERROR_SIZE, "a crop of %d x %d does not fit into the picture resized to %d x %d", crop_width, crop_height,
                 full_width, full_height);
        return IMAGE_BAD;
    }
    *how = (struct resize){{0, 0, width, height}, filter, full_width, full_height, half(full_width - crop_width),
                           half(full_height - crop_height), crop_width, crop_height, 0};
    return IMAGE_OK;
}

int image_eval_pixels(const uint8_t *pixels, int width, int height, int side, int filter, int crop_width, int crop_height, uint8_t *out,
                      char *error) {
    struct resize how;
    int code = eval_resize(width, height, side, filter, crop_width, crop_height, &how, error);
    return code == IMAGE_OK ? resize_pixels(pixels, width, height, &how, out, error) : code;
}
