// What a model file does not say of itself: its classes, and how pictures are made ready for it.
#ifndef EFFNET_META_H
#define EFFNET_META_H

#include <array>
#include <string>
#include <vector>

namespace effnet {

struct Meta {
  std::vector<std::string> classes;
  std::array<float, 3> mean, std;  // per channel, in units of 0..255
  int resize;                      // shorter side, pixels
  int height, width;               // of the centre crop that the model takes, pixels
  int filter;                      // IMAGE_BILINEAR or IMAGE_BICUBIC
};

// Reads the JSON that the export wrote beside the model. Throws Failure naming file and key where something is missing
// or wrong.
Meta ReadMeta(const std::string &path);
Meta ParseMeta(const std::string &text, const std::string &path);

}  // namespace effnet
#endif
