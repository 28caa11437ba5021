#include "scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace effnet {

std::vector<Answer> TopK(const float *logits, size_t classes, size_t top) {
  top = std::min(top, classes);
  if (top == 0) return {};
  const double largest = *std::max_element(logits, logits + classes);
  double sum = 0;  // shifted by the largest logit, so that exp() cannot overflow
  for (size_t i = 0; i < classes; i++) sum += std::exp(logits[i] - largest);
  std::vector<int> order(classes);
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top), order.end(),
                    [&](int a, int b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  std::vector<Answer> answers;
  for (size_t i = 0; i < top; i++) answers.push_back({order[i], std::exp(logits[order[i]] - largest) / sum});
  return answers;
}

static double Percentile(const std::vector<double> &sorted, double share) {
  const double rank = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (rank - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Spread Summarize(std::vector<double> values) {
  if (values.empty()) return {0, 0, 0, 0};
  std::sort(values.begin(), values.end());
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return {sum / static_cast<double>(values.size()), Percentile(values, 0.5), Percentile(values, 0.9),
          Percentile(values, 0.99)};
}

}  // namespace effnet
