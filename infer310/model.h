// A MINDIR in MindSpore Lite, on the device asked for and on no other.
#ifndef EFFNET_MODEL_H
#define EFFNET_MODEL_H

#include <string>
#include <vector>

#include "include/api/model.h"

namespace effnet {

class Model {
 public:
  // device: cpu, gpu, ascend310 or ascend310p. batch: pictures per run; 0 takes the model's own, or `pictures` but at
  // most 8 where the model leaves it open. Throws Failure, with kNoDevice where the device or its libraries are not
  // there.
  Model(const std::string &path, const std::string &device, int device_id, int threads, int batch, size_t pictures);

  int batch() const { return static_cast<int>(shape_[0]); }
  int height() const { return static_cast<int>(shape_[2]); }
  int width() const { return static_cast<int>(shape_[3]); }

  // Normalised NCHW pictures, exactly batch() of them -> logits, batch() rows of classes.
  std::vector<float> Predict(const std::vector<float> &pictures);

 private:
  std::string path_;
  mindspore::Model model_;
  std::vector<int64_t> shape_;
};

}  // namespace effnet
#endif
