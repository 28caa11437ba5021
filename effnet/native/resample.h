/* Pillow's resampling of a stream of rows (inside effnet/native; users include image.h). */
#ifndef EFFNET_RESAMPLE_H
#define EFFNET_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

/* A box of a picture resized to width * height pixels, of which only a window is wanted. */
struct resize {
    double box[4]; /* left, top, right, bottom in the picture */
    int filter;
    int width, height;
    int left, top, out_width, out_height; /* the window */
    int flip;                             /* mirror the window left to right */
};

/* One direction: output i is the sum over t < taps of weight[i * taps + t] * source[first + start[i] + t]. Starts never
 * decrease. */
struct axis {
    int count, taps;
    int first, end; /* source positions in use */
    int *start;
    int32_t *weight; /* fixed point */
};

/* Takes the source rows y.first to y.end one by one, writes output rows as soon as they can be made. Rows are widened
 * to 32 bits a channel first, so that the passes are nothing but multiply and add. */
struct resampler {
    struct axis x, y;
    int x_first;
    int *starts;      /* of x in the order of the output, which is reversed when mirrored */
    int32_t *weights; /* likewise, spread to two taps by four channels */
    int32_t *wide;    /* a source row, 4 numbers a pixel */
    int32_t *ring; /* the last y.taps rows: resized in x if that comes first (3 numbers a pixel), else as they came */
    int32_t *line; /* a row after the pass along y */
    int32_t *last; /* a row of output */
    size_t stride;
    int row, made;
    uint8_t *out;
};

/* For a picture of width * height. 0, or -1 if out of memory. Release with resampler_free, also after -1. */
int resampler_init(struct resampler *r, int width, int height, const struct resize *how, uint8_t *out);
/* The next source row: 4 bytes a pixel (the fourth of no account), from pixel x.first on. */
void resampler_row(struct resampler *r, const uint8_t *pixels);
void resampler_free(struct resampler *r);

/* How evaluation resizes: shorter side to `side`, the middle crop_width * crop_height of that. IMAGE_OK, or IMAGE_BAD
 * and why. */
int eval_resize(int width, int height, int side, int filter, int crop_width, int crop_height, struct resize *how,
                char *error);

#endif
