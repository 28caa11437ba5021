// libFuzzer harness: any bytes as a JPEG file.
//   python -m tools.build310 build/fuzz --fuzz --sanitize
//   build/fuzz/fuzz -max_total_time=60 -max_len=4096 FOLDER_OF_JPEGS
#include "../picture.h"
#include "image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const effnet::Meta meta{{"a"}, {0, 0, 0}, {1, 1, 1}, 40, 32, 32, IMAGE_BICUBIC};
  static std::vector<float> out(3 * 32 * 32);
  effnet::Prepare(std::vector<uint8_t>(data, data + size), meta, out.data());
  return 0;
}
