/* JPEG through libjpeg(-turbo), straight into the resampler: only the rows and columns that the output needs, never the
 * whole picture.
 *
 * libjpeg reports errors by longjmp: everything allocated hangs on `struct reader` or the caller's variables, which
 * outlive the jump.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h> /* needs jpeglib.h */

#include "image.h"
#include "resample.h"

enum { MAX_SCANS = 500 }; /* a progressive file of more is an attack: each costs a pass over the whole picture */

struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    char *error;
    uint8_t *row;
};

static void on_error(j_common_ptr jpeg) {
    struct reader *r = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    snprintf(r->error, IMAGE_ERROR_SIZE, "%.*s", IMAGE_ERROR_SIZE - 1, text);
    longjmp(r->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level) {
    struct reader *r = jpeg->client_data;
    if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF) {
        snprintf(r->error, IMAGE_ERROR_SIZE, "the file ends before the picture does");
        longjmp(r->jump, 1);
    }
}

static void on_progress(j_common_ptr jpeg) {
    struct reader *r = jpeg->client_data;
    if (r->jpeg.input_scan_number > MAX_SCANS) {
        snprintf(r->error, IMAGE_ERROR_SIZE, "more than %d progressive scans", MAX_SCANS);
        longjmp(r->jump, 1);
    }
}

static void reader_close(struct reader *r) {
    jpeg_destroy_decompress(&r->jpeg);
    free(r->row);
}

/* Reads the header. Close the reader in any case. */
static int reader_open(struct reader *r, const uint8_t *data, size_t size, char *error) {
    memset(r, 0, sizeof *r);
    r->error = error;
    if (size == 0 || size > 0x7fffffff) {
        snprintf(error, IMAGE_ERROR_SIZE, size ? "a file of 2 GiB or more" : "the file is empty");
        return IMAGE_BAD;
    }
    if (size < 3 || memcmp(data, "\xff\xd8\xff", 3)) {
        snprintf(error, IMAGE_ERROR_SIZE, "not a JPEG file");
        return IMAGE_NOT_JPEG;
    }
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->jpeg.client_data = r;
    if (setjmp(r->jump)) return IMAGE_BAD;
    jpeg_create_decompress(&r->jpeg); /* keeps err and client_data */
    r->progress.progress_monitor = on_progress;
    r->jpeg.progress = &r->progress;
    jpeg_mem_src(&r->jpeg, data, size);
    jpeg_read_header(&r->jpeg, TRUE);
    if ((int64_t)r->jpeg.image_width * r->jpeg.image_height > IMAGE_MAX_PIXELS) {
        snprintf(error, IMAGE_ERROR_SIZE, "%u x %u pixels are too many", r->jpeg.image_width, r->jpeg.image_height);
        return IMAGE_BAD;
    }
    return IMAGE_OK;
}

static int is_cmyk(const struct reader *r) {
    return r->jpeg.jpeg_color_space == JCS_CMYK || r->jpeg.jpeg_color_space == JCS_YCCK;
}

/* CMYK as Adobe writes it (255 is no ink), `from` 4 bytes a pixel, to RGB of `step` bytes a pixel; Pillow's rounding.
 * In place works. */
static void cmyk_to_rgb(const uint8_t *from, uint8_t *to, int count, int step) {
    for (int i = 0; i < count; i++) {
        int black = from[4 * i + 3];
        for (int c = 0; c < 3; c++) {
            int ink = (255 - from[4 * i + c]) * black + 128;
            int value = black - ((ink + (ink >> 8)) >> 8);
            to[step * i + c] = value < 0 ? 0 : value;
        }
    }
}

/* The part of the picture, at 1/denominator of its size, that the axes ask for, through the resampler. */
static int reader_resample(struct reader *r, int denominator, struct resampler *resampler) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    const struct axis *x = &resampler->x, *y = &resampler->y;
    if (setjmp(r->jump)) return IMAGE_BAD;
    jpeg->scale_num = 1;
    jpeg->scale_denom = denominator;
    jpeg->out_color_space = is_cmyk(r) ? JCS_CMYK : JCS_EXT_RGBX;
    jpeg_start_decompress(jpeg);
    /* Chroma is interpolated from its neighbours: two more columns make those inside as they are in the whole. */
    JDIMENSION left = x->first < 2 ? 0 : x->first - 2;
    JDIMENSION width = (x->end + 2 < (int)jpeg->output_width ? (JDIMENSION)x->end + 2 : jpeg->output_width) - left;
    if (width < jpeg->output_width) jpeg_crop_scanline(jpeg, &left, &width);
    if (y->first > 0) jpeg_skip_scanlines(jpeg, y->first);
    r->row = malloc((size_t)jpeg->output_width * 4);
    if (!r->row) {
        snprintf(r->error, IMAGE_ERROR_SIZE, "out of memory");
        return IMAGE_BAD;
    }
    while ((int)jpeg->output_scanline < y->end) {
        JSAMPROW row = r->row;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (is_cmyk(r)) cmyk_to_rgb(r->row, r->row, jpeg->output_width, 4);
        resampler_row(resampler, r->row + 4 * (x->first - (int)left));
    }
    return IMAGE_OK;
}

/* The picture decoded at 1/denominator of its size, resized. */
static int decode_resized(struct reader *r, int denominator, const struct resize *how, uint8_t *out) {
    int width = (r->jpeg.image_width + denominator - 1) / denominator;
    int height = (r->jpeg.image_height + denominator - 1) / denominator;
    struct resampler resampler;
    int code = IMAGE_BAD;
    if (resampler_init(&resampler, width, height, how, out))
        snprintf(r->error, IMAGE_ERROR_SIZE, "out of memory");
    else
        code = reader_resample(r, denominator, &resampler);
    resampler_free(&resampler);
    return code;
}

static int decode_whole(struct reader *r, uint8_t *pixels) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    if (setjmp(r->jump)) return IMAGE_BAD;
    jpeg->out_color_space = is_cmyk(r) ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(jpeg);
    r->row = is_cmyk(r) ? malloc((size_t)jpeg->output_width * 4) : NULL;
    if (is_cmyk(r) && !r->row) {
        snprintf(r->error, IMAGE_ERROR_SIZE, "out of memory");
        return IMAGE_BAD;
    }
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *to = pixels + (size_t)jpeg->output_scanline * jpeg->output_width * 3;
        JSAMPROW row = r->row ? r->row : to;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (r->row) cmyk_to_rgb(row, to, jpeg->output_width, 3);
    }
    return IMAGE_OK;
}

int image_size(const uint8_t *data, size_t size, int *width, int *height, char *error) {
    struct reader r;
    int code = reader_open(&r, data, size, error);
    *width = code == IMAGE_OK ? (int)r.jpeg.image_width : 0;
    *height = code == IMAGE_OK ? (int)r.jpeg.image_height : 0;
    reader_close(&r);
    return code;
}

int image_decode(const uint8_t *data, size_t size, int width, int height, uint8_t *out, char *error) {
    struct reader r;
    int code = reader_open(&r, data, size, error);
    if (code == IMAGE_OK && ((int)r.jpeg.image_width != width || (int)r.jpeg.image_height != height)) {
        snprintf(error, IMAGE_ERROR_SIZE, "%u x %u pixels, not %d x %d", r.jpeg.image_width, r.jpeg.image_height, width,
                 height);
        code = IMAGE_BAD;
    }
    if (code == IMAGE_OK) code = decode_whole(&r, out);
    reader_close(&r);
    return code;
}

int image_eval(const uint8_t *data, size_t size, int side, int filter, int crop_width, int crop_height, uint8_t *out,
               char *error) {
    struct reader r;
    struct resize how;
    int code = reader_open(&r, data, size, error);
    if (code == IMAGE_OK)
        code = eval_resize(r.jpeg.image_width, r.jpeg.image_height, side, filter, crop_width, crop_height, &how, error);
    if (code == IMAGE_OK) code = decode_resized(&r, 1, &how, out);
    reader_close(&r);
    return code;
}

int image_train(const uint8_t *data, size_t size, const int box[4], int filter, int out_size, int flip, uint8_t *out,
                char *error) {
    struct reader r;
    int code = reader_open(&r, data, size, error);
    int full_width = (int)r.jpeg.image_width, full_height = (int)r.jpeg.image_height;
    if (code == IMAGE_OK &&
        !(0 <= box[0] && box[0] < box[2] && box[2] <= full_width && 0 <= box[1] && box[1] < box[3] &&
          box[3] <= full_height && 1 <= out_size && out_size <= JPEG_MAX_DIMENSION)) {
        snprintf(error, IMAGE_ERROR_SIZE, "cannot resize box %d %d %d %d of %d x %d pixels to %d", box[0], box[1],
                 box[2], box[3], full_width, full_height, out_size);
        code = IMAGE_BAD;
    }
    if (code == IMAGE_OK) {
        int d = filter == IMAGE_LINEAR ? 1 : 8;
        while (d > 1 && (box[2] - box[0] < d * out_size || box[3] - box[1] < d * out_size)) d /= 2;
        struct resize how = {{0}, filter, out_size, out_size, 0, 0, out_size, out_size, flip};
        for (int i = 0; i < 4; i++) how.box[i] = (double)box[i] / d;
        code = decode_resized(&r, d, &how, out);
    }
    reader_close(&r);
    return code;
}
