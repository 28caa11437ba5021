// What C++ adds to the native decoder, each against values worked out by hand. Whole pictures against Pillow:
// tests/runtimes/test_infer310.py.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#define DOCTEST_CONFIG_SUPER_FAST_ASSERTS  // to compile, above all
#include <doctest/doctest.h>
#include <unistd.h>
// jpeglib.h needs stdio's FILE
#include <jpeglib.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "../failure.h"
#include "../files.h"
#include "../meta.h"
#include "../options.h"
#include "../picture.h"
#include "../report.h"
#include "../scores.h"
#include "image.h"

using namespace effnet;
namespace fs = std::filesystem;

static const char *const kMeta =
    R"({"classes": ["a", "b"], "mean": [10, 20, 30], "std": [2, 4, 8], "resize": 8, "height": 8, "width": 8, "interpolation": "bilinear"})";

// A JPEG of one colour: its pixels come back as they were.
static std::vector<uint8_t> GreyJpeg(int width, int height, uint8_t value) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char *buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = static_cast<JDIMENSION>(width);
  jpeg.image_height = static_cast<JDIMENSION>(height);
  jpeg.input_components = 1;
  jpeg.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  std::vector<uint8_t> row(static_cast<size_t>(width), value);
  JSAMPROW rows[] = {row.data()};
  while (jpeg.next_scanline < jpeg.image_height) jpeg_write_scanlines(&jpeg, rows, 1);
  jpeg_finish_compress(&jpeg);
  std::vector<uint8_t> bytes(buffer, buffer + size);
  jpeg_destroy_compress(&jpeg);
  std::free(buffer);
  return bytes;
}

static std::string ProblemOf(const std::function<void()> &act) {
  try {
    act();
  } catch (const Failure &failure) {
    return failure.what();
  }
  return "";
}

static bool Has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

TEST_CASE("top-k: softmax over all classes, best first") {
  const float logits[] = {0, std::log(3.0f), std::log(2.0f), 0};  // weights 1, 3, 2, 1 of 7
  const auto answers = TopK(logits, 4, 3);
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].index == 1);
  CHECK(answers[0].probability == doctest::Approx(3.0 / 7));
  CHECK(answers[1].index == 2);
  CHECK(answers[1].probability == doctest::Approx(2.0 / 7));
  CHECK(answers[2].index == 0);  // a tie with class 3: the lower index
}

TEST_CASE("top-k: logits of any size, more answers than classes, none") {
  const float logits[] = {1000, -1000};
  const auto answers = TopK(logits, 2, 5);
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].probability == doctest::Approx(1));
  CHECK(answers[1].probability == doctest::Approx(0));
  CHECK(TopK(logits, 2, 0).empty());
}

TEST_CASE("spread: mean, median and 90th percentile as NumPy has them") {
  const Spread spread = Summarize({40, 10, 30, 20});
  CHECK(spread.mean == doctest::Approx(25));
  CHECK(spread.median == doctest::Approx(25));
  CHECK(spread.p90 == doctest::Approx(37));    // rank 2.7: 30 + 0.7 * 10
  CHECK(spread.p99 == doctest::Approx(39.7));  // rank 2.97
  CHECK(Summarize({7}).p90 == doctest::Approx(7));
  CHECK(Summarize({}).mean == 0);
}

TEST_CASE("resize: halving and cropping, by hand") {
  // bilinear, scale 2, support 2: output 0 weighs pixels 0, 1, 2 by 3/7, 3/7, 1/7, output 1 the mirror image
  const uint8_t grey[] = {0, 100, 200, 100};
  std::vector<uint8_t> row;
  for (const uint8_t value : grey) row.insert(row.end(), 3, value);
  std::vector<uint8_t> out(6);
  const double box[] = {0, 0, 4, 1};
  char error[IMAGE_ERROR_SIZE];
  REQUIRE(image_resize(row.data(), 4, 1, box, IMAGE_BILINEAR, 2, 1, out.data(), error) == IMAGE_OK);
  CHECK(out[0] == 71);   // (3*0 + 3*100 + 1*200) / 7 = 71.4
  CHECK(out[3] == 143);  // (1*100 + 3*200 + 3*100) / 7 = 142.9
  std::vector<uint8_t> middle(2 * 3);
  std::vector<uint8_t> square(4 * 2 * 3);
  for (size_t i = 0; i < 2; i++)
    std::copy(row.begin(), row.end(), square.begin() + static_cast<std::ptrdiff_t>(i * row.size()));
  REQUIRE(image_eval_pixels(square.data(), 4, 2, 2, IMAGE_BILINEAR, 2, 1, middle.data(), error) == IMAGE_OK);
  CHECK(middle[0] == 100);  // shorter side is 2 already: columns 1 and 2
  CHECK(middle[3] == 200);
}

TEST_CASE("prepare: decoded, resized, normalised, channel by channel") {
  const Meta meta = ParseMeta(kMeta, "meta");
  std::vector<float> out(3 * 64);
  const Prepared prepared = Prepare(GreyJpeg(20, 16, 50), meta, out.data());
  CHECK(prepared.problem == "");
  CHECK(out[0] == 20);  // (50 - 10) / 2
  CHECK(out[63] == 20);
  CHECK(out[64] == 7.5);      // (50 - 20) / 4
  CHECK(out[2 * 64] == 2.5);  // (50 - 30) / 8
}

TEST_CASE("prepare: what is wrong with a picture is said, and nothing is thrown") {
  const Meta meta = ParseMeta(kMeta, "meta");
  std::vector<float> out(3 * 64);
  std::vector<uint8_t> bytes = GreyJpeg(64, 64, 50);
  bytes.resize(bytes.size() - 10);
  CHECK(Prepare(bytes, meta, out.data()).problem == "the file ends before the picture does");
  CHECK(Prepare(std::vector<uint8_t>{}, meta, out.data()).problem == "the file is empty");
  CHECK(Prepare(std::vector<uint8_t>{'G', 'I', 'F', '8'}, meta, out.data()).problem == "not a JPEG file");
  CHECK(Prepare(std::string("/nowhere/a.jpg"), meta, out.data()).problem == "cannot be read");
}

TEST_CASE("meta: read, and refused by key") {
  const Meta meta = ParseMeta(kMeta, "m.json");
  CHECK(meta.classes == std::vector<std::string>{"a", "b"});
  CHECK(meta.width == 8);
  CHECK(meta.filter == IMAGE_BILINEAR);
  auto changed = [](const std::string &from, const std::string &to) {
    std::string text = kMeta;
    text.replace(text.find(from), from.size(), to);
    return ProblemOf([&] { ParseMeta(text, "m.json"); });
  };
  CHECK(Has(changed("\"mean\"", "\"men\""), "m.json: key 'mean' not found"));
  CHECK(Has(changed("[\"a\", \"b\"]", "[]"), "m.json: classes"));
  CHECK(Has(changed("[2, 4, 8]", "[2, 0, 8]"), "m.json: std"));
  CHECK(Has(changed("[2, 4, 8]", "[2, 4]"), "m.json: "));
  CHECK(Has(changed("\"width\": 8", "\"width\": 9"), "m.json: height, width"));
  CHECK(Has(changed("\"width\": 8", "\"width\": \"8\""), "m.json: "));
  CHECK(Has(changed("bilinear", "lanczos"), "lanczos"));
  CHECK(Has(ProblemOf([] { ParseMeta("{", "m.json"); }), "m.json: "));
  CHECK(Has(ProblemOf([] { ReadMeta("/nowhere/m.json"); }), "/nowhere/m.json: cannot be read"));
  CHECK(Has(ProblemOf([] { ReadMeta("/tmp"); }), "/tmp: cannot be read"));
}

TEST_CASE("options: both spellings, and refusals that name the option") {
  const Options options = ParseOptions({"--model", "m", "--meta=j", "--input", "i", "--batch=4", "--device=ascend310"});
  CHECK(options.model == "m");
  CHECK(options.batch == 4);
  CHECK(options.device == "ascend310");
  CHECK(options.threads >= 1);
  CHECK(ParseOptions({"--help"}).help);
  CHECK(Has(ProblemOf([] { ParseOptions({"--modell", "m"}); }), "--modell: unknown option"));
  CHECK(Has(ProblemOf([] { ParseOptions({"--model"}); }), "--model: needs a value"));
  CHECK(Has(ProblemOf([] { ParseOptions({"--model=m", "--meta=j"}); }), "--input: missing"));
  for (const char *number : {"0", "-1", "4x", "", "99999999999"})
    CHECK(Has(ProblemOf([&] { ParseOptions({std::string("--batch=") + number}); }), "--batch"));
}

TEST_CASE("pictures are found in sub-folders, in the byte order of their paths") {
  const fs::path folder = fs::temp_directory_path() / ("effnet310-test-" + std::to_string(::getpid()));
  fs::create_directories(folder / "sub");
  CHECK(Has(ProblemOf([&] { FindPictures(folder.string()); }), "no .jpg, .jpeg or .ppm file"));
  for (const char *name : {"b.jpg", "a.JPEG", "sub/c.Jpg", "notes.txt"}) std::ofstream(folder / name) << "x";
  const auto found = FindPictures(folder.string());
  REQUIRE(found.size() == 3);
  CHECK(found[0] == (folder / "a.JPEG").string());
  CHECK(found[2] == (folder / "sub" / "c.Jpg").string());
  CHECK(FindPictures((folder / "notes.txt").string()).size() == 1);  // one file is taken at its word
  CHECK(Has(ProblemOf([&] { FindPictures((folder / "gone").string()); }), "no such file"));
  fs::remove_all(folder);
}

TEST_CASE("a PPM file is read as its pixels, and a damaged one is refused") {
  Meta meta;
  meta.resize = meta.width = meta.height = 2;
  meta.filter = IMAGE_BILINEAR;
  for (int channel = 0; channel < 3; channel++) meta.mean[channel] = 0, meta.std[channel] = 1;
  const std::string head = "P6\n2 2\n255\n", pixels = "abcdefghijkl";
  const auto prepared = [&](const std::string &text, float *out) {
    return Prepare(std::vector<uint8_t>(text.begin(), text.end()), meta, out).problem;
  };
  float out[12];
  CHECK(prepared(head + pixels, out) == "");
  CHECK(out[0] == 'a');
  CHECK(out[1] == 'd');
  CHECK(out[4] == 'b');
  CHECK(out[11] == 'l');
  for (const std::string &text : {head, head + pixels + "m", "P6\n0 2\n255\n" + pixels, "P6\n2 2\n65535\n" + pixels,
                                  "P6\n99999999999 99999999999\n255\n" + pixels, std::string("P6\n")})
    CHECK(Has(prepared(text, out), "not a whole PPM file"));
}

TEST_CASE("a file that cannot be written is an error of one sentence") {
  CHECK(Has(ProblemOf([] { WriteLogits("/nowhere/x.npy", Run(), 2); }), "/nowhere/x.npy: cannot be written"));
  CHECK(Has(ProblemOf([] { WriteLogits("/dev/full/x.npy", Run(), 2); }), "/dev/full/x.npy: cannot be written"));
  CHECK(Has(ProblemOf([] { RequireWritable("/nowhere/x.npy"); }), "/nowhere/x.npy: cannot be written"));
  CHECK(Has(ProblemOf([] { RequireWritable("/tmp"); }), "/tmp: cannot be written"));
  CHECK(ProblemOf([] { RequireWritable("x.npy"); }) == "");
}
