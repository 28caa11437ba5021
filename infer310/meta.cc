#include "meta.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "failure.h"
#include "files.h"
#include "image.h"

namespace effnet {

using Json = nlohmann::json;

constexpr int kMaxSide = 2048;  // as effnet/parsed.py has it

static int Filter(const std::string &name) {
  if (name == "linear") return IMAGE_LINEAR;
  if (name == "bilinear") return IMAGE_BILINEAR;
  if (name == "bicubic") return IMAGE_BICUBIC;
  throw Failure("interpolation: '" + name + "' is none of linear, bilinear and bicubic");
}

static int Side(const Json &json, const char *key) {
  const Json &side = json.at(key);
  if (!side.is_number_integer() || side < 1 || side > kMaxSide)
    throw Failure(std::string(key) + ": expected a whole number from 1 to " + std::to_string(kMaxSide));
  return side;
}

static Meta FromJson(const Json &json) {
  Meta meta;
  json.at("classes").get_to(meta.classes);
  json.at("mean").get_to(meta.mean);
  json.at("std").get_to(meta.std);
  meta.resize = Side(json, "resize");
  meta.height = Side(json, "height");
  meta.width = Side(json, "width");
  meta.filter = Filter(json.at("interpolation"));
  if (meta.classes.empty()) throw Failure("classes: the list is empty");
  for (const float deviation : meta.std)
    if (!(deviation > 0)) throw Failure("std: must be above 0");
  if (std::max(meta.height, meta.width) > meta.resize) throw Failure("height, width: must be no more than resize");
  return meta;
}

Meta ParseMeta(const std::string &text, const std::string &path) {
  try {
    return FromJson(Json::parse(text));
  } catch (const Failure &failure) {
    throw Failure(path + ": " + failure.what());
  } catch (const Json::exception &error) {
    const std::string what = error.what();  // "[json.exception.out_of_range.403] key 'mean' not found"
    throw Failure(path + ": " + what.substr(what.find("] ") + 2) + "; export the model again");
  }
}

Meta ReadMeta(const std::string &path) {
  std::vector<uint8_t> bytes;
  if (!ReadWhole(path, &bytes)) throw Failure(path + ": cannot be read; the export writes this file beside the model");
  return ParseMeta(std::string(bytes.begin(), bytes.end()), path);
}

}  // namespace effnet
