/* 1x1 convolutions of planes so small that one picture's do not fill a matrix product: those of several pictures, side
 * by side, are one, of (out, in) with (in, pictures * pixels), by the oneDNN that MindSpore brings along.
 *
 * Neither the pictures of a product nor the parts it is taken in depend on the number of threads, and a part is one
 * thread's: results are the same bytes on any number of them. operators.py makes MindSpore operators of these. */
#include <stdlib.h>

#include "operator.h"
#include "vectors.h"

/* C (m, n) = A (m, k) B (k, n) + beta C, row by row, of which A or B may be transposed ('T'); 0 if it went well. By the
 * thread that calls it: https://uxlfoundation.github.io/oneDNN/group_dnnl_api_blas.html */
int dnnl_sgemm(char transposed_a, char transposed_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
               int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

/* Columns of a product, as many pictures as have them; rows of its parts, fewer of which would not be worth the packing
 * of all columns. */
enum { COLUMNS = 512, ROWS = 64 };

/* so many pictures' planes of one product */
struct group {
    int64_t pictures, pixels, columns;
};

/* some of a product's rows, which are channels */
struct part {
    int64_t begin, rows;
};

static int64_t parts_of(int64_t rows) { return (rows + ROWS - 1) / ROWS; }

/* Part `i` of them. */
static struct part part_of(int64_t rows, int64_t i) {
    int64_t parts = parts_of(rows), begin = rows * i / parts;
    return (struct part){begin, rows * (i + 1) / parts - begin};
}

/* The group whose first picture is `picture`. */
static struct group group_of(const int64_t *shape, int64_t picture) {
    int64_t left = shape[0] - picture, pixels = shape[2] * shape[3], most = COLUMNS / pixels;
    int64_t pictures = most < 1 ? 1 : most < left ? most : left;
    return (struct group){pictures, pixels, pictures * pixels};
}

/* A part of the channels: from (pictures, channels, pixels) to (channels, columns). */
static void fold(const struct group *g, int64_t channels, struct part p, const float *x, float *folded) {
    for (int64_t c = p.begin; c < p.begin + p.rows; c++)
        for (int64_t n = 0; n < g->pictures; n++)
            copy(folded + c * g->columns + n * g->pixels, x + (n * channels + c) * g->pixels, g->pixels);
}

static void unfold(const struct group *g, int64_t channels, struct part p, const float *folded, float *x) {
    for (int64_t n = 0; n < g->pictures; n++)
        for (int64_t c = p.begin; c < p.begin + p.rows; c++)
            copy(x + (n * channels + c) * g->pixels, folded + c * g->columns + n * g->pixels, g->pixels);
}

/* (x (N, in, H, W), weight (out, in, 1, 1)) -> y (N, out, H, W) */
OPERATOR(pointwise) {
    const float *x = params[0], *weight = params[1];
    float *y = params[2];
    const int64_t out = shapes[1][0], in = shapes[1][1];
    const struct group first = group_of(shapes[0], 0);
    float *xs = malloc((in + out) * first.columns * sizeof(float)), *ys = xs + in * first.columns;
    int failed = 0;
    if (!xs) return 1;
#pragma omp parallel reduction(| : failed)
    for (int64_t n = 0; n < shapes[0][0]; n += first.pictures) {
        const struct group g = group_of(shapes[0], n);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < parts_of(in); i++) fold(&g, in, part_of(in, i), x + n * in * g.pixels, xs);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < parts_of(out); i++) {
            struct part p = part_of(out, i);
            failed |= dnnl_sgemm('N', 'N', p.rows, g.columns, in, 1, weight + p.begin * in, in, xs, g.columns, 0,
                                 ys + p.begin * g.columns, g.columns);
            unfold(&g, out, p, ys, y + n * out * g.pixels);
        }
    }
    free(xs);
    return failed;
}

/* (x, weight, dy) -> (dx, dweight) */
OPERATOR(pointwise_grad) {
    const float *x = params[0], *weight = params[1], *dy = params[2];
    float *dx = params[3], *dweight = params[4];
    const int64_t out = shapes[1][0], in = shapes[1][1];
    const struct group first = group_of(shapes[0], 0);
    float *xs = malloc((2 * in + out) * first.columns * sizeof(float)), *dxs = xs + in * first.columns;
    float *dys = dxs + in * first.columns;
    int failed = 0;
    if (!xs) return 1;
#pragma omp parallel reduction(| : failed)
    for (int64_t n = 0; n < shapes[0][0]; n += first.pictures) {
        const struct group g = group_of(shapes[0], n);
#pragma omp for schedule(static) nowait
        for (int64_t i = 0; i < parts_of(in); i++) fold(&g, in, part_of(in, i), x + n * in * g.pixels, xs);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < parts_of(out); i++) fold(&g, out, part_of(out, i), dy + n * out * g.pixels, dys);
#pragma omp for schedule(static) nowait
        for (int64_t i = 0; i < parts_of(in); i++) {
            struct part p = part_of(in, i);
            failed |= dnnl_sgemm('T', 'N', p.rows, g.columns, out, 1, weight + p.begin, in, dys, g.columns, 0,
                                 dxs + p.begin * g.columns, g.columns);
            unfold(&g, in, p, dxs, dx + n * in * g.pixels);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < parts_of(out); i++) {
            struct part p = part_of(out, i);
            failed |= dnnl_sgemm('N', 'T', p.rows, in, g.columns, 1, dys + p.begin * g.columns, g.columns, xs,
                                 g.columns, n > 0, dweight + p.begin * in, in);
        }
    }
    free(xs);
    return failed;
}
