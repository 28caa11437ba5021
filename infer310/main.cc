// effnet310: classify JPEG (and PPM) files with an EfficientNet in MindSpore Lite, on a CPU, a GPU, an Ascend 310 or
// 310P.
//
//   effnet310 --device=cpu --model effnet.mindir --meta effnet.json --input FOLDER --json answers.json
//
// Exit codes: 0 done; 1 unexpected; 2 bad input; 3 the device or its software is absent; 4 done, but some pictures
// could not be read.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <limits>

#include "failure.h"
#include "files.h"
#include "meta.h"
#include "model.h"
#include "options.h"
#include "picture.h"
#include "report.h"

namespace effnet {

using Clock = std::chrono::steady_clock;

static double Seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

struct Batch {
  std::vector<float> input;  // always of the model's full size: what the last batch lacks stays zero
  std::vector<Prepared> prepared;
};

// Prepares the pictures from `first` on, in `threads` threads.
static Batch PrepareBatch(const std::vector<std::string> &paths, size_t first, size_t batch, const Meta &meta,
                          size_t threads) {
  const size_t count = std::min(batch, paths.size() - first);
  const size_t size = 3 * static_cast<size_t>(meta.height) * static_cast<size_t>(meta.width);
  Batch result{std::vector<float>(batch * size), std::vector<Prepared>(count)};
  auto work = [&](size_t start) {
    for (size_t i = start; i < count; i += threads)
      result.prepared[i] = Prepare(paths[first + i], meta, &result.input[i * size]);
  };
  std::vector<std::future<void>> workers;
  for (size_t start = 1; start < std::min(threads, count); start++)
    workers.push_back(std::async(std::launch::async, work, start));
  work(0);
  for (auto &worker : workers) worker.get();
  return result;
}

static void Progress(size_t done, size_t total, Clock::time_point start) {
  static double last = 0;
  const double elapsed = Seconds(start);
  if (elapsed - last < 10) return;
  last = elapsed;
  const double rate = static_cast<double>(done) / elapsed;
  std::fprintf(stderr, "%zu of %zu pictures, %.1f images/s, %.0f s left\n", done, total, rate,
               static_cast<double>(total - done) / rate);
}

// Every picture through the model, the next batch being prepared while this one is inferred.
static Run Classify(const std::vector<std::string> &paths, const Options &options, const Meta &meta, Model *model) {
  Run run;
  run.batch = model->batch();
  const auto batch = static_cast<size_t>(run.batch), threads = static_cast<size_t>(options.threads);
  const size_t classes = meta.classes.size();
  const size_t input_size = 3 * static_cast<size_t>(meta.height * meta.width) * batch;
  // the first run also sets up buffers: not timed
  if (model->Predict(std::vector<float>(input_size)).size() != batch * classes)
    throw Failure(options.model + ": its number of classes is not the " + std::to_string(classes) + " of " +
                  options.meta);
  const auto start = Clock::now();
  auto prepare = [&](size_t first) {
    return std::async(std::launch::async, PrepareBatch, std::cref(paths), first, batch, std::cref(meta), threads);
  };
  auto next = prepare(0);
  for (size_t first = 0; first < paths.size(); first += batch) {
    const Batch current = next.get();
    if (first + batch < paths.size()) next = prepare(first + batch);
    const auto before = Clock::now();
    std::vector<float> logits = model->Predict(current.input);
    run.inference_ms.push_back(Seconds(before) * 1000);
    for (size_t i = 0; i < current.prepared.size(); i++) {
      const Prepared &prepared = current.prepared[i];
      float *row = &logits[i * classes];
      if (prepared.problem.empty()) {
        if (!std::all_of(row, row + classes, [](float logit) { return std::isfinite(logit); }))
          throw Failure(paths[first + i] + ": the answer is not finite: " + options.meta + " or " + options.model +
                        " is damaged, or overflows on " + options.device);
        run.pictures.push_back({paths[first + i], "", TopK(row, classes, static_cast<size_t>(options.top))});
        run.decode_ms.push_back(prepared.decode_ms);
        run.preprocess_ms.push_back(prepared.preprocess_ms);
        run.answer_ms.push_back(prepared.decode_ms + prepared.preprocess_ms + run.inference_ms.back());
      } else {
        run.pictures.push_back({paths[first + i], prepared.problem, {}});
        std::fill_n(row, classes, std::numeric_limits<float>::quiet_NaN());
      }
      if (!options.logits.empty()) run.logits.insert(run.logits.end(), row, row + classes);
    }
    Progress(run.pictures.size(), paths.size(), start);
  }
  run.seconds = Seconds(start);
  return run;
}

static int Main(const std::vector<std::string> &arguments) {
  const Options options = ParseOptions(arguments);
  if (options.help) {
    std::fputs(kHelp, stdout);
    return kDone;
  }
  for (const std::string &path : {options.json, options.logits})
    if (!path.empty()) RequireWritable(path);
  const Meta meta = ReadMeta(options.meta);
  const std::vector<std::string> paths = FindPictures(options.input);
  const auto start = Clock::now();
  Model model(options.model, options.device, options.device_id, options.threads, options.batch, paths.size());
  const double build_seconds = Seconds(start);
  if (model.height() != meta.height || model.width() != meta.width)
    throw Failure(options.model + ": takes pictures of " + std::to_string(model.height()) + "x" +
                  std::to_string(model.width()) + " pixels, " + options.meta + " cuts out " +
                  std::to_string(meta.height) + "x" + std::to_string(meta.width));
  Run run = Classify(paths, options, meta, &model);
  run.build_seconds = build_seconds;
  if (!options.json.empty()) WriteJson(options.json, options, meta, run);
  if (!options.logits.empty()) WriteLogits(options.logits, run, meta.classes.size());
  Print(meta, run, options.json.empty());
  return run.Bad() ? kBadPictures : kDone;
}

}  // namespace effnet

int main(int argc, char **argv) {
  // MindSpore Lite reads its log level before main() begins, and at its own default prints pages beside our one
  // sentence.
  if (!std::getenv("GLOG_v")) {
    setenv("GLOG_v", "4", 1);
    execv("/proc/self/exe", argv);
  }
  return effnet::ExitCodeOf([&] { return effnet::Main({argv + 1, argv + argc}); });
}
