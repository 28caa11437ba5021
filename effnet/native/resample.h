/* Pillow's resampling of a stream of rows (inside effnet/native; users include image.h). */
#ifndef EFFNET_RESAMPLE_H
#define EFFNET_RESAMPLE_H

#include <stdint.h>

/* One direction: output i is the sum over t < taps of weight[i * taps + t] * source[start[i] + t]. Starts never decrease. */
struct axis {
    int count, taps;
    int first, end;  /* source positions in use */
    int *start;      /* relative to first */
    int32_t *weight; /* fixed point, FRACTION bits */
};

/* Resizing to `full` pixels of which `count` from `offset` on are wanted; from the span low..high of `size` source pixels.
 * 0, or -1 if out of memory. Release with axis_free, also after -1. */
int axis_init(struct axis *axis, int size, double low, double high, int full, int offset, int count, int filter);
void axis_free(struct axis *axis);

/* Takes source rows one by one, writes output rows as soon as they can be made. */
struct resampler {
    const struct axis *x, *y;
    int flip;
    int32_t *weights; /* of x, two taps by four channels wide */
    uint8_t *ring;    /* the last y->taps rows, resized in x */
    int stride, row, made;
    uint8_t *out;
};

int resampler_init(struct resampler *r, const struct axis *x, const struct axis *y, int flip, uint8_t *out);
/* The next source row from y->first on: 4 bytes a pixel (the fourth unused), pixel x->first at `pixels`, one more readable after the last. */
void resampler_row(struct resampler *r, const uint8_t *pixels);
void resampler_free(struct resampler *r);

/* Size of a picture with its shorter side resized to `side`, and the middle crop's window (left, top, width, height) in it. */
int eval_geometry(int width, int height, int side, int crop_width, int crop_height, int *full_width, int *full_height, int window[4],
                  char *error);

#endif
