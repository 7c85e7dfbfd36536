// The one way to read JSON that came from outside: files that people write, answers and commands over MQTT. Whatever
// the text is, it ends in a value or in an error, never in an exception.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "core/base/result.hpp"

namespace instar::json {

using Json = nlohmann::ordered_json;

// The value that `text` is, all of it, as UTF-8. Beside what is not JSON it refuses numbers that no double holds, a key
// that an object has twice, and more than limits::kJsonDepthMax levels, because code that walks through the value goes
// down level by level. Whole numbers from -2^63 to 2^64 - 1 stay exact; others become doubles, so that
// is_number_unsigned() says no to them. Errors: malformed, too_large (levels). The text continues a sentence that
// begins with the name of the document, such as "is not valid JSON at line 3, column 7".
[[nodiscard]] Result<Json> read(std::string_view text);

}  // namespace instar::json
