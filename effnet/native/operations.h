/* What augmentation does to a picture that is decoded: Pillow 13's ImageEnhance, ImageOps and Image.transform, byte for
 * byte. As image.h has it: any number of threads, RGB, 3 bytes a pixel, rows without gaps, IMAGE_OK or another code and
 * a sentence in `error`. All but image_histogram change `pixels` in place.
 */
#ifndef EFFNET_OPERATIONS_H
#define EFFNET_OPERATIONS_H

#include <stdint.h>
#pragma GCC visibility push(default)

/* ImageEnhance: a factor of 1 changes nothing, of 0 gives black, the mean grey, the greys, the smoothed picture. From
 * -1e6 to 1e6. */
int image_brightness(uint8_t *pixels, int width, int height, float factor, char *error);
int image_contrast(uint8_t *pixels, int width, int height, float factor, char *error);
int image_color(uint8_t *pixels, int width, int height, float factor, char *error);
int image_sharpness(uint8_t *pixels, int width, int height, float factor, char *error);

/* ImageOps.autocontrast and equalize, each channel by itself. */
int image_autocontrast(uint8_t *pixels, int width, int height, char *error);
int image_equalize(uint8_t *pixels, int width, int height, char *error);

/* How often each value occurs in each channel; changes nothing. */
int image_histogram(const uint8_t *pixels, int width, int height, int64_t counts[3][256], char *error);

/* Image.point: value v of channel c becomes tables[c][v]. */
int image_point(uint8_t *pixels, int width, int height, const uint8_t tables[3][256], char *error);

/* Image.transform(size, AFFINE, matrix, NEAREST, fillcolor=fill): output (x, y) is input (m0 x + m1 y + m2,
 * m3 x + m4 y + m5), by the middles of pixels. Coordinates must stay below 16384. */
int image_affine(uint8_t *pixels, int width, int height, const double matrix[6], const uint8_t fill[3], char *error);

#pragma GCC visibility pop
#endif
