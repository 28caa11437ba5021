// From logits and measured times to what is reported. Nothing here knows of models or pictures.
#ifndef EFFNET_SCORES_H
#define EFFNET_SCORES_H

#include <cstddef>
#include <vector>

namespace effnet {

struct Answer {
  int index;  // class index
  double probability;
};

// The `top` most probable of `classes` logits, best first; ties go to the lower index. Softmax over all classes, in
// double precision.
std::vector<Answer> TopK(const float *logits, size_t classes, size_t top);

struct Spread {
  double mean, median, p90, p99;
};

// Mean, median, 90th and 99th percentile (linear interpolation between ranks, as numpy.percentile). All 0 for no
// values.
Spread Summarize(std::vector<double> values);

}  // namespace effnet
#endif
