/* Pillow's affine transform to the nearest pixel (src/libImaging/Geometry.c of 13.0): along the axes in doubles that
 * add up, else in 16.16 fixed point. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "operations.h"

enum { LIMIT = 16384 }; /* Pillow leaves fixed point at twice that */

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
    int *rows = places + width;
    along_axis(places, width, width, m[0], m[2]);
    along_axis(rows, height, height, m[4], m[5]);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width && rows[y] >= 0; x++)
            if (places[x] >= 0)
                memcpy(to + ((size_t)y * width + x) * 3, from + ((size_t)rows[y] * width + places[x]) * 3, 3);
}

static void slanted(const uint8_t *from, uint8_t *to, int width, int height, const double m[6]) {
    const int step_x = fixed(m[0]), step_y = fixed(m[3]), next_x = fixed(m[1]), next_y = fixed(m[4]);
    int first_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5), first_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
    for (int y = 0; y < height; y++, first_x += next_x, first_y += next_y) {
        int at_x = first_x, at_y = first_y;
        for (int x = 0; x < width; x++, to += 3, at_x += step_x, at_y += step_y) {
            unsigned in_x = (unsigned)(at_x >> 16), in_y = (unsigned)(at_y >> 16); /* negative ones become large */
            if (in_x < (unsigned)width && in_y < (unsigned)height)
                memcpy(to, from + ((size_t)in_y * width + in_x) * 3, 3);
        }
    }
}

int image_affine(uint8_t *pixels, int width, int height, const double matrix[6], const uint8_t fill[3], char *error) {
    if (!inside(matrix, 0, 0) || !inside(matrix, width, 0) || !inside(matrix, 0, height) ||
        !inside(matrix, width, height)) {
        snprintf(error, IMAGE_ERROR_SIZE, "a transform of %d x %d pixels reaches beyond %d", width, height, LIMIT);
        return IMAGE_BAD;
    }
    size_t count = (size_t)width * height;
    uint8_t *source = malloc(count * 3);
    int *places = malloc(((size_t)width + height) * sizeof *places);
    if (source && places) {
        memcpy(source, pixels, count * 3);
        for (size_t i = 0; i < count; i++) memcpy(pixels + 3 * i, fill, 3);
        if (matrix[1] == 0 && matrix[3] == 0)
            scaled(source, pixels, width, height, matrix, places);
        else
            slanted(source, pixels, width, height, matrix);
    }
    int code = source && places ? IMAGE_OK : IMAGE_BAD;
    if (code) snprintf(error, IMAGE_ERROR_SIZE, "out of memory");
    free(source);
    free(places);
    return code;
}
