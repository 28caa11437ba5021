// effnet310 without its model: the same options, files and answers, the latter made up from the pictures. Starts in
// milliseconds, so that tests/test_fuzz.py can give it thousands of damaged inputs.
#include "../failure.h"
#include "../files.h"
#include "../picture.h"
#include "../report.h"
#include "../scores.h"

namespace effnet {

static int Main(const std::vector<std::string> &arguments) {
  const Options options = ParseOptions(arguments);
  if (options.help) return kDone;
  for (const std::string &path : {options.json, options.logits})
    if (!path.empty()) RequireWritable(path);
  const Meta meta = ReadMeta(options.meta);
  const size_t classes = meta.classes.size(), size = 3 * static_cast<size_t>(meta.height * meta.width);
  Run run;
  for (const std::string &path : FindPictures(options.input)) {
    std::vector<float> logits(size + classes);
    const Prepared prepared = Prepare(path, meta, logits.data());
    run.pictures.push_back({path, prepared.problem, {}});
    if (prepared.problem.empty())
      run.pictures.back().top = TopK(logits.data(), classes, static_cast<size_t>(options.top));
    run.logits.insert(run.logits.end(), logits.begin(), logits.begin() + static_cast<std::ptrdiff_t>(classes));
  }
  if (!options.json.empty()) WriteJson(options.json, options, meta, run);
  if (!options.logits.empty()) WriteLogits(options.logits, run, classes);
  Print(meta, run, options.json.empty());
  return run.Bad() ? kBadPictures : kDone;
}

}  // namespace effnet

int main(int argc, char **argv) {
  return effnet::ExitCodeOf([&] { return effnet::Main({argv + 1, argv + argc}); });
}
