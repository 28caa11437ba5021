#include "report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "files.h"

namespace effnet {

using Json = nlohmann::ordered_json;

size_t Run::Bad() const {
  return static_cast<size_t>(
      std::count_if(pictures.begin(), pictures.end(), [](const Picture &p) { return !p.problem.empty(); }));
}

static Json ToJson(const Spread &spread) {
  return {{"mean", spread.mean}, {"median", spread.median}, {"p90", spread.p90}, {"p99", spread.p99}};
}

void WriteJson(const std::string &path, const Options &options, const Meta &meta, const Run &run) {
  Json bad = Json::array(), pictures = Json::array();
  for (const Picture &picture : run.pictures) {
    if (!picture.problem.empty()) {
      bad.push_back({{"file", picture.path}, {"problem", picture.problem}});
      continue;
    }
    Json top = Json::array();
    for (const Answer &answer : picture.top)
      top.push_back({{"class", answer.index},
                     {"name", meta.classes[static_cast<size_t>(answer.index)]},
                     {"probability", answer.probability}});
    pictures.push_back({{"file", picture.path}, {"top", top}});
  }
  const Json json = {{"device", options.device},
                     {"model", options.model},
                     {"batch", run.batch},
                     {"threads", options.threads},
                     {"images", pictures.size()},
                     {"images_per_second", run.Rate()},
                     {"model_build_seconds", run.build_seconds},
                     {"latency_ms",
                      {{"answer_per_image", ToJson(Summarize(run.answer_ms))},
                       {"decode_per_image", ToJson(Summarize(run.decode_ms))},
                       {"preprocess_per_image", ToJson(Summarize(run.preprocess_ms))},
                       {"inference_per_batch", ToJson(Summarize(run.inference_ms))}}},
                     {"bad_images", bad.size()},
                     {"bad", bad},
                     {"pictures", pictures}};
  // file names may hold any bytes: those that are not UTF-8 are replaced
  WriteWhole(path,
             [&](std::ostream &file) { file << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n'; });
}

// Format of .npy, version 1.0: magic, header length, a Python dictionary padded to 64 bytes, little-endian data.
void WriteLogits(const std::string &path, const Run &run, size_t classes) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(run.pictures.size()) +
                       ", " + std::to_string(classes) + "), }";
  header.append(63 - (10 + header.size()) % 64, ' ').push_back('\n');
  const char length[] = {static_cast<char>(header.size() % 256), static_cast<char>(header.size() / 256)};
  WriteWhole(path, [&](std::ostream &file) {
    file.write("\x93NUMPY\1\0", 8).write(length, sizeof length) << header;
    file.write(reinterpret_cast<const char *>(run.logits.data()),
               static_cast<std::streamsize>(run.logits.size() * sizeof(float)));
  });
}

void Print(const Meta &meta, const Run &run, bool answers) {
  for (const Picture &picture : run.pictures) {
    if (!picture.problem.empty()) {
      std::fprintf(stderr, "%s: %s\n", picture.path.c_str(), picture.problem.c_str());
      continue;
    }
    if (!answers) continue;
    std::printf("%s\n", picture.path.c_str());
    for (const Answer &answer : picture.top)
      std::printf("  %6.2f%%  %s\n", answer.probability * 100, meta.classes[static_cast<size_t>(answer.index)].c_str());
  }
  const Spread decode = Summarize(run.decode_ms), preprocess = Summarize(run.preprocess_ms);
  const Spread inference = Summarize(run.inference_ms);
  std::fprintf(stderr,
               "%zu pictures, %zu bad, %.1f images/s; model built in %.1f s\n"
               "ms: mean / median / p90\n"
               "  decode      %9.3f %9.3f %9.3f  per image\n"
               "  preprocess  %9.3f %9.3f %9.3f  per image\n"
               "  inference   %9.3f %9.3f %9.3f  per batch of %d\n",
               run.pictures.size(), run.Bad(), run.Rate(), run.build_seconds, decode.mean, decode.median, decode.p90,
               preprocess.mean, preprocess.median, preprocess.p90, inference.mean, inference.median, inference.p90,
               run.batch);
}

}  // namespace effnet
