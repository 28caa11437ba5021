// Damaged JPEGs, the same ones every time: `damage COUNT FILE...` breaks the files in memory as disks and networks do
// and prepares each. Built with EFFNET_SANITIZE, any bad access ends it. Prints how many were read and how many
// refused.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "../picture.h"
#include "image.h"

using Bytes = std::vector<uint8_t>;

static Bytes Damage(Bytes bytes, std::mt19937 *random) {
  auto below = [&](size_t n) { return static_cast<std::ptrdiff_t>((*random)() % std::max<size_t>(n, 1)); };
  for (auto times = 1 + below(4); times > 0 && !bytes.empty(); times--) {
    const auto size = static_cast<std::ptrdiff_t>(bytes.size());
    const auto at = below(bytes.size()), length = std::min(1 + below(64), size - at);
    const auto head = std::min(below(640), size - 1);  // tables and sizes stand there
    switch (below(6)) {
      case 0: bytes.resize(static_cast<size_t>(at)); break;
      case 1: bytes.erase(bytes.begin() + at, bytes.begin() + at + length); break;
      case 2: std::fill_n(bytes.begin() + at, length, static_cast<uint8_t>((*random)())); break;
      case 3: bytes[static_cast<size_t>(at)] ^= static_cast<uint8_t>(1u << below(8)); break;
      case 4: bytes[static_cast<size_t>(head)] = static_cast<uint8_t>((*random)()); break;
      case 5: {
        const Bytes piece(bytes.begin() + at, bytes.begin() + at + length);
        bytes.insert(bytes.begin() + below(bytes.size()), piece.begin(), piece.end());
      }
    }
  }
  return bytes;
}

int main(int argc, char **argv) {
  std::vector<Bytes> whole;
  for (int i = 2; i < argc; i++) {
    std::ifstream file(argv[i], std::ios::binary);
    whole.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  const int count = argc > 2 ? std::atoi(argv[1]) : 0;
  effnet::Meta meta{{"a"}, {0, 0, 0}, {1, 1, 1}, 40, 32, 32, IMAGE_BICUBIC};
  std::vector<float> out(3 * 32 * 32);
  std::mt19937 random(1);
  int read = 0;
  for (int i = 0; i < count; i++) {
    meta.filter = i % 2 ? IMAGE_BILINEAR : IMAGE_BICUBIC;
    const Bytes bytes = Damage(whole[static_cast<size_t>(i) % whole.size()], &random);
    read += effnet::Prepare(bytes, meta, out.data()).problem.empty();
  }
  std::printf("%d read, %d refused\n", read, count - read);
  return count > 0 ? 0 : 2;
}
