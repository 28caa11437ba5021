/* The pixels of image.h and operations.h as a number: pixels FILE... prints a digest of evaluation's and training's
 * pictures of each JPEG, and of what augmentation makes of them. Compiled for another processor and run in an emulator,
 * it must print the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "image.h"
#include "operations.h"

static uint64_t digest = 14695981039346656037u; /* FNV-1a, 64 bits */

static void add(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) digest = (digest ^ bytes[i]) * 1099511628211u;
}

int main(int argc, char **argv) {
    enum { SIDE = 292, CROP = 260, SIZE = 224 };
    static uint8_t data[1 << 24], out[CROP * CROP * 3];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) return 2;
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        char error[IMAGE_ERROR_SIZE];
        int width, height;
        if (image_size(data, size, &width, &height, error)) return 3;
        if (image_eval(data, size, SIDE, IMAGE_BICUBIC, CROP, CROP, out, error)) return 4;
        add(out, sizeof out);
        const int box[4] = {width / 7, height / 5, width - width / 9, height}; /* at half its size where it is large */
        for (int flip = 0; flip < 2; flip++) {
            if (image_train(data, size, box, IMAGE_BILINEAR, SIZE >> flip, flip, out, error)) return 5;
            const int side = SIZE >> flip;
            add(out, (size_t)side * side * 3);
            const float factor = 0.37f + 0.11f * (float)(i % 10); /* both below and above 1 */
            const double turn[6] = {0.97, 0.26, -20.5, -0.26, 0.97, 31.25}, shift[6] = {1, 0, 9.3, 0, 1, 0};
            const uint8_t grey[3] = {128, 128, 128};
            if (image_brightness(out, side, side, factor, error) || image_contrast(out, side, side, factor, error) ||
                image_color(out, side, side, factor, error) || image_sharpness(out, side, side, factor, error) ||
                image_affine(out, side, side, flip ? turn : shift, grey, error) ||
                image_autocontrast(out, side, side, error) || image_equalize(out, side, side, error))
                return 6;
            add(out, (size_t)side * side * 3);
        }
    }
    printf("%016llx\n", (unsigned long long)digest);
    return 0;
}
