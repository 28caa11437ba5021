#include "picture.h"

#include <algorithm>
#include <cctype>
#include <chrono>
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

static bool NamedJpeg(const fs::path &path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension == ".jpg" || extension == ".jpeg";
}

std::vector<std::string> FindPictures(const std::string &input) {
  std::error_code error;
  if (!fs::exists(input, error)) throw Failure(input + ": no such file or folder");
  if (!fs::is_directory(input, error)) return {input};
  std::vector<std::string> found;
  for (const auto &entry : fs::recursive_directory_iterator(input))
    if (entry.is_regular_file() && NamedJpeg(entry.path())) found.push_back(entry.path().string());
  if (found.empty()) throw Failure(input + ": no .jpg or .jpeg file in this folder");
  std::sort(found.begin(), found.end());
  return found;
}

Prepared Prepare(const std::vector<uint8_t> &bytes, const Meta &meta, float *out) {
  Prepared result;
  const auto start = Clock::now();
  const size_t area = static_cast<size_t>(meta.height) * static_cast<size_t>(meta.width);
  std::vector<uint8_t> pixels(area * 3);
  char problem[IMAGE_ERROR_SIZE];
  if (image_eval(bytes.data(), bytes.size(), meta.resize, meta.filter, meta.width, meta.height, pixels.data(),
                 problem)) {
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
