// The command line.
#ifndef EFFNET_OPTIONS_H
#define EFFNET_OPTIONS_H

#include <string>
#include <vector>

namespace effnet {

struct Options {
  std::string device = "cpu", model, meta, input, json, logits;
  int device_id = 0, batch = 0, top = 5, threads = 0;
  bool help = false;
};

extern const char *const kHelp;

// `--name value` and `--name=value`, in any order. Throws Failure naming what is unknown, missing or not a number.
Options ParseOptions(const std::vector<std::string> &arguments);

}  // namespace effnet
#endif
