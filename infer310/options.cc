#include "options.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <thread>

#include "failure.h"

namespace effnet {

const char *const kHelp =
    "effnet310: classify JPEG (and PPM) files with an EfficientNet in MindSpore Lite\n"
    "\n"
    "  --model FILE    MINDIR, version 1, as the build310 stage writes it\n"
    "  --meta FILE     JSON that the export wrote beside the model: class names and pre-processing\n"
    "  --input PATH    a JPEG or PPM file, or a folder of them (sub-folders too)\n"
    "  --device NAME   cpu (default), ascend310, ascend310p, gpu; --device-id N picks one of several\n"
    "  --batch N       pictures per run (default: the model's own, or 8)\n"
    "  --threads N     decoding and CPU inference threads (default: as many as cores)\n"
    "  --top K         answers per picture (default 5)\n"
    "  --json FILE     write answers, bad pictures and latencies there instead of answers to the screen\n"
    "  --logits FILE   write raw logits as .npy, float32 (pictures, classes), in the byte order of paths; "
    "NaN for bad pictures\n"
    "\n"
    "Exit codes: 0 done; 1 unexpected; 2 bad input; 3 the device or its software is absent;\n"
    "            4 done, but some pictures could not be read (they are named; the others are answered)\n";

static int Number(const std::string &name, const std::string &text, int least, int most) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
    throw Failure(name + " " + text + ": expected a whole number from " + std::to_string(least) + " to " +
                  std::to_string(most));
  return number;
}

Options ParseOptions(const std::vector<std::string> &arguments) {
  Options options;
  const std::map<std::string, std::string *> texts = {{"--device", &options.device}, {"--model", &options.model},
                                                      {"--meta", &options.meta},     {"--input", &options.input},
                                                      {"--json", &options.json},     {"--logits", &options.logits}};
  struct Integer {
    int *value, least, most;
  };
  const std::map<std::string, Integer> numbers = {{"--batch", {&options.batch, 1, 65536}},
                                                  {"--top", {&options.top, 1, 1000000}},
                                                  {"--threads", {&options.threads, 1, 1024}},
                                                  {"--device-id", {&options.device_id, 0, 1023}}};
  for (size_t i = 0; i < arguments.size(); i++) {
    const auto equals = arguments[i].find('=');
    const std::string name = arguments[i].substr(0, equals);
    if (name == "--help" || name == "-h") {
      options.help = true;
      return options;
    }
    if (!texts.count(name) && !numbers.count(name)) throw Failure(name + ": unknown option; --help lists them");
    if (equals == std::string::npos && i + 1 == arguments.size())
      throw Failure(name + ": needs a value; --help explains");
    const std::string value = equals == std::string::npos ? arguments[++i] : arguments[i].substr(equals + 1);
    if (texts.count(name))
      *texts.at(name) = value;
    else
      *numbers.at(name).value = Number(name, value, numbers.at(name).least, numbers.at(name).most);
  }
  for (const char *name : {"--model", "--meta", "--input"})
    if (texts.at(name)->empty()) throw Failure(std::string(name) + ": missing; --help explains");
  if (!options.threads) options.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return options;
}

}  // namespace effnet
