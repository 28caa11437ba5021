/* Colours as Pillow's Blend.c, Convert.c, Filter.c and ImageOps.py change them. Floats are Pillow's too: one product
 * and one sum, each rounded once (-ffp-contract=off), so that vectors change no byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.h"
#include "image.h"
#include "operations.h"

#ifdef HAS_VBMI
#include <immintrin.h>
#endif

enum { BLOCK = 256 }; /* pixels of which greys are made at a time: they stay in the nearest cache */

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef int32_t ints4 __attribute__((vector_size(16)));
typedef int32_t ints8 __attribute__((vector_size(32)));

static inline uint8_t blend(int from, int to, float factor) {
    int value = (int)((float)from + factor * (float)(to - from));
    value = value < 0 ? 0 : value;
    return (uint8_t)(value > 255 ? 255 : value);
}

static inline int grey(const uint8_t *pixel) {
    return (pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 0x8000) >> 16;
}

FOR_EACH_CPU static void blend_with(uint8_t *pixels, int64_t count, int from, float factor) {
    for (int64_t i = 0; i < count; i++) pixels[i] = blend(from, pixels[i], factor);
}

/* The greys of eight pixels. Reads four bytes more. */
static inline __attribute__((always_inline)) ints8 greys(const uint8_t *pixels) {
    bytes16 low, high;
    memcpy(&low, pixels, 16);
    memcpy(&high, pixels + 12, 16);
    low = __builtin_shufflevector(low, low, 0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12);
    high = __builtin_shufflevector(high, high, 0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12);
    ints8 rgb = __builtin_shufflevector((ints4)low, (ints4)high, 0, 1, 2, 3, 4, 5, 6, 7);
    return ((rgb & 255) * 19595 + (rgb >> 8 & 255) * 38470 + (rgb >> 16 & 255) * 7471 + 0x8000) >> 16;
}

FOR_EACH_CPU static int64_t sum_of_greys(const uint8_t *pixels, int64_t count) {
    int64_t sum = 0, i = 0;
    while (count - i > 9) {
        ints8 part = {0};
        for (int j = 0; j < BLOCK && count - i > 9; j++, i += 8) part += greys(pixels + 3 * i);
        for (int j = 0; j < 8; j++) sum += part[j];
    }
    for (; i < count; i++) sum += grey(pixels + 3 * i);
    return sum;
}

FOR_EACH_CPU static void blend_with_greys(uint8_t *pixels, int64_t count, float factor) {
    uint8_t from[3 * BLOCK + 16];
    for (int64_t i = 0; i < count; i += BLOCK, pixels += 3 * BLOCK) {
        int n = count - i < BLOCK ? (int)(count - i) : BLOCK, j = 0;
        for (; count - i - j > 9 && j < n; j += 8) {
            ints8 found = greys(pixels + 3 * j);
            bytes16 low = (bytes16)__builtin_shufflevector(found, found, 0, 1, 2, 3);
            bytes16 high = (bytes16)__builtin_shufflevector(found, found, 4, 5, 6, 7);
            low = __builtin_shufflevector(low, low, 0, 0, 0, 4, 4, 4, 8, 8, 8, 12, 12, 12, 0, 0, 0, 0);
            high = __builtin_shufflevector(high, high, 0, 0, 0, 4, 4, 4, 8, 8, 8, 12, 12, 12, 0, 0, 0, 0);
            memcpy(from + 3 * j, &low, 16);
            memcpy(from + 3 * j + 12, &high, 16);
        }
        for (; j < n; j++) from[3 * j] = from[3 * j + 1] = from[3 * j + 2] = (uint8_t)grey(pixels + 3 * j);
        for (j = 0; j < 3 * n; j++) pixels[j] = blend(from[j], pixels[j], factor);
    }
}

#ifdef HAS_VBMI
/* 64 pixels at a time, three vectors whose first bytes are of channels 0, 1 and 2; how many pixels that were. A table
 * is four vectors: the index's low seven bits choose in two of them, its highest which two. */
__attribute__((target("avx512vbmi,avx512bw"))) static int64_t look_up_by_vectors(uint8_t *pixels, int64_t count,
                                                                                 const uint8_t *table) {
    const __mmask64 third = 0x9249249249249249; /* every third byte, from the first on */
    __m512i parts[3][4];
    for (int c = 0; c < 3; c++)
        for (int part = 0; part < 4; part++) parts[c][part] = _mm512_loadu_si512(table + 256 * c + 64 * part);
    for (int64_t i = 0; i + 64 <= count; i += 64)
        for (int k = 0; k < 3; k++, pixels += 64) {
            const __m512i values = _mm512_loadu_si512(pixels);
            const __mmask64 high = _mm512_movepi8_mask(values);
            __m512i found = _mm512_setzero_si512();
            for (int c = 0; c < 3; c++) {
                __mmask64 mine = third << ((c + 3 - k) % 3); /* 64 is one more than whole pixels */
                __m512i low = _mm512_maskz_permutex2var_epi8(mine & ~high, parts[c][0], values, parts[c][1]);
                __m512i rest = _mm512_maskz_permutex2var_epi8(mine & high, parts[c][2], values, parts[c][3]);
                found = _mm512_or_si512(found, _mm512_or_si512(low, rest));
            }
            _mm512_storeu_si512(pixels, found);
        }
    return count / 64 * 64;
}
#else
#define HAS_VBMI 0
#define look_up_by_vectors(pixels, count, table) 0
#endif

/* Every value of each channel c becomes table[256 * c + value]. */
static void look_up(uint8_t *restrict pixels, int64_t count, const uint8_t *restrict table) {
    int64_t done = HAS_VBMI ? look_up_by_vectors(pixels, count, table) : 0;
    pixels += 3 * done, count -= done;
    for (int64_t i = 0; i < 3 * count; i += 3) {
        uint8_t red = table[pixels[i]], green = table[256 + pixels[i + 1]], blue = table[512 + pixels[i + 2]];
        pixels[i] = red, pixels[i + 1] = green, pixels[i + 2] = blue;
    }
}

/* What blend_with gives, the faster way. */
static void blend_all(uint8_t *pixels, int64_t count, int from, float factor) {
    uint8_t table[3 * 256];
    if (!HAS_VBMI) return blend_with(pixels, 3 * count, from, factor);
    for (int v = 0; v < 256; v++) table[v] = table[256 + v] = table[512 + v] = blend(from, v, factor);
    look_up(pixels, count, table);
}

int image_brightness(uint8_t *pixels, int width, int height, float factor, char *error) {
    (void)error;
    blend_all(pixels, (int64_t)width * height, 0, factor);
    return IMAGE_OK;
}

int image_contrast(uint8_t *pixels, int width, int height, float factor, char *error) {
    (void)error;
    int64_t count = (int64_t)width * height;
    int mean = (int)((double)sum_of_greys(pixels, count) / (double)count + 0.5);
    blend_all(pixels, count, mean, factor);
    return IMAGE_OK;
}

int image_color(uint8_t *pixels, int width, int height, float factor, char *error) {
    (void)error;
    blend_with_greys(pixels, (int64_t)width * height, factor);
    return IMAGE_OK;
}

/* A row but its ends: the kernel 1 1 1, 1 5 1, 1 1 1 over 13, rounded. No sum lies just between two integers. */
FOR_EACH_CPU static void sharpen_row(uint8_t *row, const uint8_t *above, const uint8_t *same, const uint8_t *below,
                                     int count, float factor) {
    for (int i = 3; i < count - 3; i++) {
        int sum = above[i - 3] + above[i] + above[i + 3] + same[i - 3] + 5 * same[i] + same[i + 3] + below[i - 3] +
                  below[i] + below[i + 3];
        row[i] = blend((2 * sum + 13) / 26, same[i], factor);
    }
}

int image_sharpness(uint8_t *pixels, int width, int height, float factor, char *error) {
    size_t stride = (size_t)width * 3;
    uint8_t *source = malloc(stride * height);
    if (!source) {
        snprintf(error, IMAGE_ERROR_SIZE, "out of memory");
        return IMAGE_BAD;
    }
    memcpy(source, pixels, stride * height);
    for (int y = 1; y < height - 1; y++) {
        const uint8_t *same = source + y * stride;
        sharpen_row(pixels + y * stride, same - stride, same, same + stride, (int)stride, factor);
    }
    free(source);
    return IMAGE_OK;
}

/* How often each value occurs in each channel. Four tables, or a run of one value waits for itself. */
static void histogram(const uint8_t *pixels, int64_t count, int64_t found[3][256]) {
    uint32_t parts[4][3][256] = {0}; /* IMAGE_MAX_PIXELS fit */
    int64_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int k = 0; k < 4; k++)
            for (int c = 0; c < 3; c++) parts[k][c][pixels[3 * (i + k) + c]]++;
    for (; i < count; i++)
        for (int c = 0; c < 3; c++) parts[0][c][pixels[3 * i + c]]++;
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) {
            found[c][v] = 0;
            for (int k = 0; k < 4; k++) found[c][v] += parts[k][c][v];
        }
}

static void stretch(const int64_t found[256], uint8_t table[256]) {
    int low = 0, high = 255;
    while (low < 255 && !found[low]) low++;
    while (high > 0 && !found[high]) high--;
    double scale = high > low ? 255.0 / (high - low) : 1.0, offset = high > low ? -low * scale : 0.0;
    for (int v = 0; v < 256; v++) {
        int value = (int)(v * scale + offset);
        table[v] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

static void flatten(const int64_t found[256], uint8_t table[256]) {
    int64_t sum = 0, last = 0, used = 0;
    for (int v = 0; v < 256; v++)
        if (found[v]) sum += last = found[v], used++;
    int64_t step = (sum - last) / 255, n = step / 2;
    for (int v = 0; v < 256; n += found[v++])
        table[v] = (uint8_t)(!step || used < 2 ? v : n / step > 255 ? 255 : n / step);
}

static int by_histogram(uint8_t *pixels, int width, int height, void (*make)(const int64_t *, uint8_t *)) {
    int64_t found[3][256], count = (int64_t)width * height;
    uint8_t table[3][256];
    histogram(pixels, count, found);
    for (int c = 0; c < 3; c++) make(found[c], table[c]);
    look_up(pixels, count, table[0]);
    return IMAGE_OK;
}

int image_autocontrast(uint8_t *pixels, int width, int height, char *error) {
    (void)error;
    return by_histogram(pixels, width, height, stretch);
}

int image_equalize(uint8_t *pixels, int width, int height, char *error) {
    (void)error;
    return by_histogram(pixels, width, height, flatten);
}

int image_histogram(const uint8_t *pixels, int width, int height, int64_t counts[3][256], char *error) {
    (void)error;
    histogram(pixels, (int64_t)width * height, counts);
    return IMAGE_OK;
}

int image_point(uint8_t *pixels, int width, int height, const uint8_t tables[3][256], char *error) {
    (void)error;
    look_up(pixels, (int64_t)width * height, tables[0]);
    return IMAGE_OK;
}
