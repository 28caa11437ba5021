/* Pillow's resampling (src/libImaging/Resample.c of 13.0): a filter stretched by the scale when shrinking, weights in
 * 22-bit fixed point, one direction after the other with rounding to 8 bits between. Integer sums have one value in
 * whatever order they are taken, so vectors change no byte.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.h"
#include "image.h"
#include "resample.h"

enum { FRACTION = 22, HALF = 1 << (FRACTION - 1) };

typedef int32_t ints8 __attribute__((vector_size(32)));

/* A vector of sums, HALF included, to the values of bytes: negative is 0, above 255 is 255. */
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

/* Outputs offset to offset + count of the span low..high of `size` source positions resized to `full`. Pillow's spans
 * are floats. */
static int axis_init(struct axis *axis, int size, float low, float high, int full, int offset, int count, int filter) {
    double (*weigh)(double) = filter == IMAGE_BICUBIC ? bicubic : bilinear;
    double scale = (double)(high - low) / full;
    double stretch = scale < 1.0 || filter == IMAGE_LINEAR ? 1.0 : scale, step = 1.0 / stretch;
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
        int least = filter == IMAGE_LINEAR ? (int)low : 0, most = filter == IMAGE_LINEAR ? (int)ceil(high) : size;
        from = axis->start[i] = from < least ? least : from;
        to = stop[i] = to > most ? most : to;
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
        /* The same number of taps for all outputs spares the loops a branch; the extra ones weigh nothing and lie
         * within the source. */
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
    r->out = out;
    /* Pillow 13 shrinks y first where the picture loses over twice as many rows as columns; Pillow 12 always began with
     * x. */
    r->x_first = !(height > how->height && height - how->height > 2 * (width - how->width));
    if (axis_init(&r->x, width, how->box[0], how->box[2], how->width, how->left, how->out_width, how->filter))
        return -1;
    if (axis_init(&r->y, height, how->box[1], how->box[3], how->height, how->top, how->out_height, how->filter))
        return -1;
    const int count = r->x.count, taps = r->x.taps, pairs = (taps + 1) / 2;
    const size_t source = 4 * (size_t)(r->x.end - r->x.first), made = 3 * (size_t)count;
    const size_t spare = 16; /* passes work in whole vectors */
    r->stride = (r->x_first ? made : source) + spare;
    r->starts = calloc(count + 1, sizeof *r->starts); /* one more: outputs are made in twos */
    r->weights = calloc((size_t)(count + 1) * pairs, sizeof(ints8));
    r->wide = calloc(source + spare, sizeof *r->wide);
    r->ring = calloc(r->y.taps * r->stride, sizeof *r->ring);
    r->line = calloc(r->stride, sizeof *r->line);
    r->last = calloc(made + spare, sizeof *r->last);
    if (!r->starts || !r->weights || !r->wide || !r->ring || !r->line || !r->last) return -1;
    for (int i = 0; i < count; i++) {
        int from = how->flip ? count - 1 - i : i;
        r->starts[i] = r->x.start[from];
        for (int t = 0; t < taps; t++)
            for (int c = 0; c < 4; c++)
                r->weights[((size_t)i * pairs + t / 2) * 8 + t % 2 * 4 + c] = r->x.weight[(size_t)from * taps + t];
    }
    return 0;
}

void resampler_free(struct resampler *r) {
    free(r->x.start);
    free(r->x.weight);
    free(r->y.start);
    free(r->y.weight);
    free(r->starts);
    free(r->weights);
    free(r->wide);
    free(r->ring);
    free(r->line);
    free(r->last);
}

#define RESIZE_X(PAIRS)                                                                                           \
    for (int i = 0; i < r->x.count; i += 2) {                                                                     \
        const int32_t *from0 = pixels + 4 * (size_t)r->starts[i], *from1 = pixels + 4 * (size_t)r->starts[i + 1]; \
        const int32_t *weight = r->weights + (size_t)i * 8 * (PAIRS);                                             \
        ints8 sum0 = {HALF, HALF, HALF, HALF}, sum1 = sum0, value, w;                                             \
        for (int p = 0; p < (PAIRS); p++, weight += 8) {                                                          \
            memcpy(&value, from0 + 8 * p, sizeof value);                                                          \
            memcpy(&w, weight, sizeof w);                                                                         \
            sum0 += value * w;                                                                                    \
            memcpy(&value, from1 + 8 * p, sizeof value);                                                          \
            memcpy(&w, weight + 8 * (PAIRS), sizeof w);                                                           \
            sum1 += value * w;                                                                                    \
        }                                                                                                         \
        ints8 sum = __builtin_shufflevector(sum0, sum1, 0, 1, 2, 3, 8, 9, 10, 11) +                               \
                    __builtin_shufflevector(sum0, sum1, 4, 5, 6, 7, 12, 13, 14, 15);                              \
        TO_BYTES(sum);                                                                                            \
        memcpy(to + 3 * i, &sum, 16); /* the fourth number gives way to the next pixel */                         \
        memcpy(to + 3 * i + 3, (const int32_t *)&sum + 4, 16);                                                    \
    }

/* A row of 4 numbers a pixel to one of 3, two outputs at a time. */
FOR_EACH_CPU static void resize_x(const struct resampler *r, const int32_t *pixels, int32_t *to) {
    switch ((r->x.taps + 1) / 2) { /* a known number of turns lets the compiler unroll */
        case 1: RESIZE_X(1) break;
        case 2: RESIZE_X(2) break;
        default: RESIZE_X((r->x.taps + 1) / 2)
    }
}

/* Row i of the output from the ring's rows, `count` numbers. */
FOR_EACH_CPU static void resize_y(const struct resampler *r, int i, int32_t *to, int count) {
    const int taps = r->y.taps, start = r->y.start[i] % taps;
    const int32_t *weight = r->y.weight + (size_t)i * taps;
    for (int b = 0; b < count; b += 8) {
        ints8 sum = {HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF}, value;
        for (int t = 0, slot = start; t < taps; t++, slot = slot + 1 == taps ? 0 : slot + 1) {
            memcpy(&value, r->ring + slot * r->stride + b, sizeof value);
            sum += value * weight[t];
        }
        TO_BYTES(sum);
        memcpy(to + b, &sum, sizeof sum);
    }
}

FOR_EACH_CPU static void widen(const uint8_t *restrict from, int32_t *restrict to, int count) {
    for (int i = 0; i < count; i++) to[i] = from[i];
}

FOR_EACH_CPU static void narrow(const int32_t *restrict from, uint8_t *restrict to, int count) {
    for (int i = 0; i < count; i++) to[i] = (uint8_t)from[i];
}

void resampler_row(struct resampler *r, const uint8_t *pixels) {
    const int width = r->x.count * 3, source_width = (r->x.end - r->x.first) * 4;
    int32_t *slot = r->ring + r->row % r->y.taps * r->stride;
    widen(pixels, r->x_first ? r->wide : slot, source_width);
    if (r->x_first) resize_x(r, r->wide, slot);
    for (; r->made < r->y.count && r->y.start[r->made] + r->y.taps - 1 <= r->row; r->made++) {
        resize_y(r, r->made, r->line, r->x_first ? width : source_width);
        if (!r->x_first) resize_x(r, r->line, r->last);
        narrow(r->x_first ? r->line : r->last, r->out + (size_t)r->made * width, width);
    }
    r->row++;
}

static int resize_pixels(const uint8_t *pixels, int width, int height, const struct resize *how, uint8_t *out,
                         char *error) {
    struct resampler r;
    uint8_t *row = NULL;
    int failed = resampler_init(&r, width, height, how, out) || !(row = calloc(r.x.end - r.x.first, 4));
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

int image_resize(const uint8_t *pixels, int width, int height, const double box[4], int filter, int out_width,
                 int out_height, uint8_t *out, char *error) {
    int inside =
        box[0] >= 0 && box[1] >= 0 && box[0] < box[2] && box[1] < box[3] && box[2] <= width && box[3] <= height;
    if (!inside || out_width < 1 || out_height < 1) {
        snprintf(error, IMAGE_ERROR_SIZE, "cannot resize box %g %g %g %g of %d x %d pixels to %d x %d", box[0], box[1],
                 box[2], box[3], width, height, out_width, out_height);
        return IMAGE_BAD;
    }
    struct resize how = {
        {box[0], box[1], box[2], box[3]}, filter, out_width, out_height, 0, 0, out_width, out_height, 0};
    return resize_pixels(pixels, width, height, &how, out, error);
}

/* Half of n, a half rounded to the even side as Python's round() does. */
static int half(int n) { return n / 2 + (n % 2 && n / 2 % 2); }

int eval_resize(int width, int height, int side, int filter, int crop_width, int crop_height, struct resize *how,
                char *error) {
    int64_t longer = (int64_t)side * (width > height ? width : height) / (width > height ? height : width);
    int full_width = width > height ? (int)longer : side, full_height = width > height ? side : (int)longer;
    if (crop_width < 1 || crop_height < 1 || crop_width > full_width || crop_height > full_height) {
        snprintf(error, IMAGE_ERROR_SIZE, "a crop of %d x %d does not fit into the picture resized to %d x %d",
                 crop_width, crop_height, full_width, full_height);
        return IMAGE_BAD;
    }
    int left = half(full_width - crop_width), top = half(full_height - crop_height);
    *how =
        (struct resize){{0, 0, width, height}, filter, full_width, full_height, left, top, crop_width, crop_height, 0};
    return IMAGE_OK;
}

int image_eval_pixels(const uint8_t *pixels, int width, int height, int side, int filter, int crop_width,
                      int crop_height, uint8_t *out, char *error) {
    struct resize how;
    int code = eval_resize(width, height, side, filter, crop_width, crop_height, &how, error);
    return code == IMAGE_OK ? resize_pixels(pixels, width, height, &how, out, error) : code;
}
