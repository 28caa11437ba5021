// JPEG files, and PPM files for what is no JPEG, to normalised NCHW float32.
#ifndef EFFNET_PICTURE_H
#define EFFNET_PICTURE_H

#include <cstdint>
#include <string>
#include <vector>

#include "meta.h"

namespace effnet {

// The pictures (.jpg, .jpeg, .ppm) under `input` (a file, or a folder searched with all its sub-folders), in the byte
// order of their paths. Throws Failure if there is none.
std::vector<std::string> FindPictures(const std::string &input);

struct Prepared {
  std::string problem;  // empty: all went well
  double decode_ms = 0, preprocess_ms = 0;
};

// Reads and decodes one file, resizes its shorter side, cuts out the centre ("decode": one pass, see image.h) and
// writes (pixel - mean) / std to `out`, 3 * height * width floats, channel by channel ("preprocess").
Prepared Prepare(const std::string &path, const Meta &meta, float *out);

// The same from bytes in memory.
Prepared Prepare(const std::vector<uint8_t> &bytes, const Meta &meta, float *out);

}  // namespace effnet
#endif
