// What a run leaves behind: JSON, logits as .npy, lines on the screen.
#ifndef EFFNET_REPORT_H
#define EFFNET_REPORT_H

#include <string>
#include <vector>

#include "meta.h"
#include "options.h"
#include "scores.h"

namespace effnet {

struct Picture {
  std::string path, problem;  // problem is empty for a picture that was answered
  std::vector<Answer> top;
};

struct Run {
  std::vector<Picture> pictures;
  std::vector<double> decode_ms, preprocess_ms;  // one per good picture
  std::vector<double> answer_ms;                 // the same, with the inference of its batch
  std::vector<double> inference_ms;              // one per batch
  std::vector<float> logits;                     // (pictures, classes); kept only where they are asked for
  int batch = 0;
  double build_seconds = 0, seconds = 0;  // loading the model; from the first picture to the last answer

  size_t Bad() const;
  double Rate() const { return seconds > 0 ? static_cast<double>(pictures.size() - Bad()) / seconds : 0; }
};

// All throw Failure if a file cannot be written; files appear whole or not at all.
void WriteJson(const std::string &path, const Options &options, const Meta &meta, const Run &run);
void WriteLogits(const std::string &path, const Run &run, size_t classes);
void Print(const Meta &meta, const Run &run, bool answers);

}  // namespace effnet
#endif
