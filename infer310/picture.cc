#include "picture.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "failure.h"
#include "files.h"
#include "image.h"

namespace effnet {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

static double Milliseconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

static bool NamedPicture(const fs::path &path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".ppm";
}

static bool IsPpm(const std::vector<uint8_t> &bytes) {
  return bytes.size() > 2 && bytes[0] == 'P' && bytes[1] == '6' && std::isspace(bytes[2]);
}

// A whole number of a PPM's header from `at` on, past the white space before it; -1 if there is none.
static long Number(const std::vector<uint8_t> &bytes, size_t *at) {
  while (*at < bytes.size() && std::isspace(bytes[*at])) ++*at;
  long number = -1;
  for (; *at < bytes.size() && std::isdigit(bytes[*at]) && number <= IMAGE_MAX_PIXELS; ++*at)
    number = std::max(number, 0L) * 10 + (bytes[*at] - '0');
  return number;
}

// image_eval of a binary PPM (netpbm's P6, 8 bits a channel, no comments): how pictures come that are no JPEG.
static int EvaluatePpm(const std::vector<uint8_t> &bytes, const Meta &meta, uint8_t *out, char *error) {
  size_t at = 2;
  const long width = Number(bytes, &at), height = Number(bytes, &at), most = Number(bytes, &at);
  if (width < 1 || height < 1 || most != 255 || width > IMAGE_MAX_PIXELS / height ||
      bytes.size() != at + 1 + static_cast<size_t>(width) * static_cast<size_t>(height) * 3) {
    std::snprintf(error, IMAGE_ERROR_SIZE, "not a whole PPM file of 8 bits a channel");
    return IMAGE_BAD;
  }
  return image_eval_pixels(bytes.data() + at + 1, static_cast<int>(width), static_cast<int>(height), meta.resize,
                           meta.filter, meta.width, meta.height, out, error);
}

std::vector<std::string> FindPictures(const std::string &input) {
  std::error_code error;
  if (!fs::exists(input, error)) throw Failure(input + ": no such file or folder");
  if (!fs::is_directory(input, error)) return {input};
  std::vector<std::string> found;
  try {
    for (const auto &entry : fs::recursive_directory_iterator(input))
      if (entry.is_regular_file() && NamedPicture(entry.path())) found.push_back(entry.path().string());
  } catch (const fs::filesystem_error &problem) {
    throw Failure(input + ": cannot be listed: " + problem.code().message());
  }
  if (found.empty()) throw Failure(input + ": no .jpg, .jpeg or .ppm file in this folder");
  std::sort(found.begin(), found.end());
  return found;
}

Prepared Prepare(const std::vector<uint8_t> &bytes, const Meta &meta, float *out) {
  Prepared result;
  const auto start = Clock::now();
  const size_t area = static_cast<size_t>(meta.height) * static_cast<size_t>(meta.width);
  std::vector<uint8_t> pixels(area * 3);
  char problem[IMAGE_ERROR_SIZE];
  const int failed = IsPpm(bytes) ? EvaluatePpm(bytes, meta, pixels.data(), problem)
                                  : image_eval(bytes.data(), bytes.size(), meta.resize, meta.filter, meta.width,
                                               meta.height, pixels.data(), problem);
  if (failed) {
    result.problem = problem;
    return result;
  }
  const auto decoded = Clock::now();
  for (size_t channel = 0; channel < 3; channel++)
    for (size_t i = 0; i < area; i++)
      out[channel * area + i] = (static_cast<float>(pixels[i * 3 + channel]) - meta.mean[channel]) / meta.std[channel];
  result.decode_ms = Milliseconds(start, decoded);
  result.preprocess_ms = Milliseconds(decoded, Clock::now());
  return result;
}

Prepared Prepare(const std::string &path, const Meta &meta, float *out) {
  const auto start = Clock::now();
  std::vector<uint8_t> bytes;
  Prepared result;
  if (!ReadWhole(path, &bytes)) {
    result.problem = "cannot be read";
    return result;
  }
  const double read_ms = Milliseconds(start, Clock::now());
  result = Prepare(bytes, meta, out);
  result.decode_ms += read_ms;
  return result;
}

}  // namespace effnet
