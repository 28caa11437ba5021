/* Damages good JPEGs at random and puts them through every function of image.h and operations.h: fuzz TIMES FILE...
 * Prints how many could be read and not. Compiled with sanitizers by test_native.py; a fixed seed, so that a finding
 * can be looked at again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "operations.h"

static uint64_t state = 1;

static uint32_t below(uint32_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % n);
}

/* A number from -1 to 1, now and then beyond what a picture bears. */
static double number(void) { return ((double)below(2001) - 1000) / (below(20) ? 1000 : 1); }

/* In memory that is as large as the picture, for reads past its end to be seen. */
static void change(uint8_t *pixels, int width, int height) {
    char error[IMAGE_ERROR_SIZE] = "";
    float factor = (float)(2 * number());
    double matrix[6];
    const uint8_t fill[3] = {1, 2, 3};
    for (int i = 0; i < 6; i++) matrix[i] = below(3) ? number() * (i % 3 == 2 ? 200 : 2) : i % 4 == 0;
    image_brightness(pixels, width, height, factor, error);
    image_sharpness(pixels, width, height, factor, error);
    image_affine(pixels, width, height, matrix, fill, error);
    image_contrast(pixels, width, height, factor, error);
    image_color(pixels, width, height, factor, error);
    image_autocontrast(pixels, width, height, error);
    image_equalize(pixels, width, height, error);
}

int main(int argc, char **argv) {
    int read = 0, refused = 0;
    for (int turn = 0; turn < atoi(argv[1]); turn++) {
        FILE *file = fopen(argv[2 + turn % (argc - 2)], "rb");
        static uint8_t whole[1 << 20];
        size_t size = fread(whole, 1, sizeof whole, file);
        fclose(file);
        if (below(4) == 0) size = below((uint32_t)size);
        for (int n = below(6); n > 0 && size; n--)
            whole[below(below(3) ? (uint32_t)size : size < 700 ? (uint32_t)size : 700)] = (uint8_t)below(256);
        uint8_t *data = malloc(size + !size); /* exactly as long as it says, for reads past the end to be seen */
        memcpy(data, whole, size);

        char error[IMAGE_ERROR_SIZE] = "";
        int width, height;
        int code = image_size(data, size, &width, &height, error);
        if (code == IMAGE_OK && (int64_t)width * height < 4000000) {
            uint8_t *pixels = malloc((size_t)width * height * 3), *out = malloc(64 * 64 * 3);
            code = image_decode(data, size, width, height, pixels, error);
            if (code == IMAGE_OK) {
                const double part[4] = {0, 0, width * 0.7, height * 0.9};
                image_resize(pixels, width, height, part, 2 + below(2), 1 + below(64), 1 + below(64), out, error);
                image_eval_pixels(pixels, width, height, 64, 2 + below(2), 64, 1 + below(64), out, error);
            }
            if (code == IMAGE_OK) change(pixels, width, height);
            int left = below(width), top = below(height);
            int box[4] = {left, top, left + 1 + below(width - left), top + 1 + below(height - top)};
            image_train(data, size, box, 2 + below(2), 1 + below(64), below(2), out, error);
            image_eval(data, size, 16 + below(48), 2 + below(2), 1 + below(16), 1 + below(16), out, error);
            free(pixels);
            free(out);
        }
        if (code == IMAGE_OK) {
            read++;
        } else {
            refused++;
            if (!error[0] || !memchr(error, 0, sizeof error)) return 3;
        }
        free(data);
    }
    printf("%d %d\n", read, refused);
    return 0;
}
