// The one exception of the program, and its exit codes.
#ifndef EFFNET_FAILURE_H
#define EFFNET_FAILURE_H

#include <algorithm>
#include <cctype>
#include <cstdio>
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

// What `main` returns, or the exit code of what it throws, said in one line whatever a file is called.
template <class Main>
int ExitCodeOf(const Main &main) {
  try {
    return main();
  } catch (const Failure &failure) {
    std::string sentence = failure.what();
    std::replace_if(sentence.begin(), sentence.end(), [](unsigned char c) { return std::iscntrl(c); }, '?');
    std::fprintf(stderr, "error: %s\n", sentence.c_str());
    return failure.code;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: unexpected: %s\n", error.what());
    return kUnexpected;
  }
}

}  // namespace effnet
#endif
