/* Pictures in: JPEG decoding (libjpeg-turbo) and Pillow's resampling, streamed row by row.
 *
 * Results are Pillow's bytes: the same decoder settings, the same fixed-point resampling, integer arithmetic on every
 * pixel, so they do not depend on the processor. All functions are safe to call from any number of threads, keep
 * nothing between calls, and free what they allocated on every way out. Pixels are RGB, 3 bytes each, rows from the top
 * without gaps. EXIF orientation is not applied.
 *
 * Return value of all: IMAGE_OK, or another code with one sentence (zero-terminated) in `error`, a buffer of
 * IMAGE_ERROR_SIZE bytes.
 */
#ifndef EFFNET_IMAGE_H
#define EFFNET_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* the rest is compiled with -fvisibility=hidden */

enum { IMAGE_OK = 0, IMAGE_BAD = 1, IMAGE_NOT_JPEG = 2 }; /* IMAGE_NOT_JPEG: does not begin as a JPEG; a PNG perhaps */
enum { IMAGE_ERROR_SIZE = 256 };
enum { IMAGE_MAX_PIXELS = 178956970 }; /* Pillow's own limit; larger pictures are refused */

/* Pillow's numbers, antialiased when shrinking, bicubic with a = -0.5; and bilinear of the four nearest pixels of the
 * box however much it shrinks, as OpenCV's INTER_LINEAR, to a level: weights are finer here. */
enum { IMAGE_LINEAR = 1, IMAGE_BILINEAR = 2, IMAGE_BICUBIC = 3 };

/* Width and height of a JPEG, from its header. */
int image_size(const uint8_t *data, size_t size, int *width, int *height, char *error);

/* The whole picture of a JPEG: grey, YCbCr, RGB, CMYK and YCCK, baseline and progressive, as Pillow's
 * Image.open(...).convert("RGB"). A file that ends early is an error; other damage is decoded as far as libjpeg can, as
 * Pillow does. out: width * height * 3 bytes, width and height as image_size gave them. */
int image_decode(const uint8_t *data, size_t size, int width, int height, uint8_t *out, char *error);

/* Pillow's Image.resize((out_width, out_height), filter, box): box is left, top, right, bottom in pixels of the
 * picture, fractions too. out: out_width * out_height * 3 bytes. */
int image_resize(const uint8_t *pixels, int width, int height, const double box[4], int filter, int out_width,
                 int out_height, uint8_t *out, char *error);

/* Evaluation: decode, resize the shorter side to `side` (the longer in proportion, rounded down), cut the middle
 * crop_width * crop_height out (offset round-half-even((size - crop) / 2): torchvision's Resize and CenterCrop). Only
 * what the crop needs is decoded; the bytes are those of the long way. out: crop_width * crop_height * 3 bytes. */
int image_eval(const uint8_t *data, size_t size, int side, int filter, int crop_width, int crop_height, uint8_t *out,
               char *error);

/* image_eval after decoding, for a picture that came by another decoder. */
int image_eval_pixels(const uint8_t *pixels, int width, int height, int side, int filter, int crop_width,
                      int crop_height, uint8_t *out, char *error);

/* Training: box (left, top, right, bottom; whole pixels of the full picture) resized to out_size * out_size, mirrored
 * if `flip`. Where the box is at least d = 2, 4 or 8 times as large as the output both ways, the picture is decoded at
 * 1/d of its size (the largest such d) by libjpeg's scaled inverse transform, and box / d is resized; never so with
 * IMAGE_LINEAR. out: out_size * out_size * 3 bytes. */
int image_train(const uint8_t *data, size_t size, const int box[4], int filter, int out_size, int flip, uint8_t *out,
                char *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
