// `prepare META FILE`: what the model would be fed, as raw float32 on standard output; for comparing with Pillow.
#include <cstdio>

#include "../picture.h"

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const effnet::Meta meta = effnet::ReadMeta(argv[1]);
  std::vector<float> out(3 * static_cast<size_t>(meta.height) * static_cast<size_t>(meta.width));
  const auto prepared = effnet::Prepare(std::string(argv[2]), meta, out.data());
  if (!prepared.problem.empty()) {
    std::fprintf(stderr, "%s\n", prepared.problem.c_str());
    return 4;
  }
  return std::fwrite(out.data(), sizeof(float), out.size(), stdout) == out.size() ? 0 : 1;
}
