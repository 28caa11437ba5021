// The one exception of the program, and its exit codes.
#ifndef EFFNET_FAILURE_H
#define EFFNET_FAILURE_H

#include <stdexcept>
#include <string>

namespace effnet {

enum ExitCode { kDone = 0, kUnexpected = 1, kBadInput = 2, kNoDevice = 3, kBadPictures = 4 };

// What ends the program: one sentence for people, an exit code for scripts.
struct Failure : std::runtime_error {
  explicit Failure(const std::string &sentence, ExitCode exit_code = kBadInput)
      : std::runtime_error(sentence), code(exit_code) {}
  ExitCode code;
};

}  // namespace effnet
#endif
