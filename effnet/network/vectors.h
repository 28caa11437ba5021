/* Vectors as wide as this processor's, and rows whose last vector is not full. */
#include <stdint.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#ifdef __AVX512F__
enum { WIDTH = 16 };
#elif defined(__AVX2__)
enum { WIDTH = 8 };
#else
enum { WIDTH = 4 };
#endif
#define INLINE static inline __attribute__((always_inline))
/* LANES running sums, in as many vectors as that takes here; BLOCK: numbers that a loop has under way at once */
enum { LANES = 16, VECTORS = LANES / WIDTH, BLOCK = 4 * LANES, HALF = WIDTH / 2 };
typedef float vec __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef float half __attribute__((vector_size(4 * HALF), aligned(4), may_alias));
typedef double dvec __attribute__((vector_size(8 * HALF), aligned(8), may_alias));

/* --- vectors --- */

/* The first `left` of a vector's lanes; and these alone read or written: memcpy would be a call. */
#ifdef __AVX512F__
INLINE __mmask16 first(int64_t left) { return (1u << left) - 1; }
INLINE vec load_first(const float *from, int64_t left, vec others) {
    return (vec)_mm512_mask_loadu_ps((__m512)others, first(left), from);
}
INLINE void store_first(float *to, int64_t left, vec v) { _mm512_mask_storeu_ps(to, first(left), (__m512)v); }
#elif defined(__AVX2__)
INLINE __m256i first(int64_t left) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE vec load_first(const float *from, int64_t left, vec others) {
    __m256i there = first(left);
    return (vec)_mm256_blendv_ps((__m256)others, _mm256_maskload_ps(from, there), (__m256)there);
}
INLINE void store_first(float *to, int64_t left, vec v) { _mm256_maskstore_ps(to, first(left), (__m256)v); }
#else
INLINE vec load_first(const float *from, int64_t left, vec others) {
    memcpy(&others, from, left * sizeof(float));
    return others;
}
INLINE void store_first(float *to, int64_t left, vec v) { memcpy(to, &v, left * sizeof(float)); }
#endif

/* WIDTH numbers at `from`, of which `left` are there: `fill` in the place of the others. */
INLINE vec load(const float *from, int64_t left, float fill) {
    if (left >= WIDTH) return *(const vec *)from;
    vec v = (vec){0} + fill;
    return left > 0 ? load_first(from, left, v) : v;
}

INLINE void store(float *to, int64_t left, vec v) {
    if (left >= WIDTH)
        *(vec *)to = v;
    else if (left > 0)
        store_first(to, left, v);
}

INLINE void copy(float *to, const float *from, int64_t count) {
    for (int64_t i = 0; i < count; i += WIDTH) store(to + i, count - i, load(from + i, count - i, 0));
}
