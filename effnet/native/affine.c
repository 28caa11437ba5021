/* Pillow's affine transform to the nearest pixel (src/libImaging/Geometry.c of 13.0): along the axes in doubles that
 * add up, else in 16.16 fixed point. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "operations.h"

enum { LIMIT = 16384 }; /* Pillow leaves fixed point at twice that */

/* Pixels are copied left to right, four bytes at a time but a row's last: the next one writes over the fourth. */

static int fixed(double v) { return (int)floor(v * 65536.0 + 0.5); }

static int inside(const double m[6], int x, int y) {
    return fabs(x * m[0] + y * m[1] + m[2]) < LIMIT && fabs(x * m[3] + y * m[4] + m[5]) < LIMIT;
}

/* places[i]: source of output i, -1 if there is none. */
static void along_axis(int *places, int count, int size, double step, double shift) {
    double at = shift + step * 0.5;
    for (int i = 0; i < count; i++, at += step) places[i] = at >= 0.0 && at < size ? (int)at : -1;
}

static void scaled(const uint8_t *from, uint8_t *to, int width, int height, const double m[6], int *places) {
    int *rows = places + width, first = 0, end = width;
    along_axis(places, width, width, m[0], m[2]);
    along_axis(rows, height, height, m[4], m[5]);
    while (first < end && places[first] < 0) first++;
    while (first < end && places[end - 1] < 0) end--;
    for (int y = 0; y < height; y++, to += (size_t)width * 3) {
        if (rows[y] < 0 || first == end) continue;
        const uint8_t *row = from + (size_t)rows[y] * width * 3;
        for (int x = first; x < end - 1; x++) memcpy(to + (size_t)x * 3, row + (size_t)places[x] * 3, 4);
        memcpy(to + (size_t)(end - 1) * 3, row + (size_t)places[end - 1] * 3, 3);
    }
}

static int within(int at_x, int at_y, int width, int height) { /* negative ones become large */
    return (unsigned)(at_x >> 16) < (unsigned)width && (unsigned)(at_y >> 16) < (unsigned)height;
}

static const uint8_t *source(const uint8_t *from, int at_x, int at_y, int width) {
    return from + ((size_t)(at_y >> 16) * width + (at_x >> 16)) * 3;
}

static void slanted(const uint8_t *from, uint8_t *to, int width, int height, const double m[6]) {
    const int step_x = fixed(m[0]), step_y = fixed(m[3]), next_x = fixed(m[1]), next_y = fixed(m[4]);
    int first_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5), first_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
    for (int y = 0; y < height; y++, first_x += next_x, first_y += next_y, to += (size_t)width * 3) {
        int first = 0, end = width; /* a line crosses the picture once */
        while (first < end && !within(first_x + first * step_x, first_y + first * step_y, width, height)) first++;
        while (first < end && !within(first_x + (end - 1) * step_x, first_y + (end - 1) * step_y, width, height)) end--;
        if (first == end) continue;
        int at_x = first_x + first * step_x, at_y = first_y + first * step_y, x = first;
        for (; x < end - 1; x++, at_x += step_x, at_y += step_y) memcpy(to + 3 * x, source(from, at_x, at_y, width), 4);
        memcpy(to + 3 * x, source(from, at_x, at_y, width), 3);
    }
}

int image_affine(uint8_t *pixels, int width, int height, const double matrix[6], const uint8_t fill[3], char *error) {
    if (!inside(matrix, 0, 0) || !inside(matrix, width, 0) || !inside(matrix, 0, height) ||
        !inside(matrix, width, height)) {
        snprintf(error, IMAGE_ERROR_SIZE, "a transform of %d x %d pixels reaches beyond %d", width, height, LIMIT);
        return IMAGE_BAD;
    }
    size_t count = (size_t)width * height;
    uint8_t *from = malloc(count * 3 + 1);
    int *places = malloc(((size_t)width + height) * sizeof *places);
    if (from && places) {
        memcpy(from, pixels, count * 3);
        for (int x = 0; x < width; x++) memcpy(pixels + 3 * x, fill, 3);
        for (int y = 1; y < height; y++) memcpy(pixels + (size_t)y * width * 3, pixels, (size_t)width * 3);
        if (matrix[1] == 0 && matrix[3] == 0)
            scaled(from, pixels, width, height, matrix, places);
        else
            slanted(from, pixels, width, height, matrix);
    }
    int code = from && places ? IMAGE_OK : IMAGE_BAD;
    if (code) snprintf(error, IMAGE_ERROR_SIZE, "out of memory");
    free(from);
    free(places);
    return code;
}
