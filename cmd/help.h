#pragma once

namespace nsrun {

// nsrun --help: fits a screen of 80 by 40.
const char* help_text();

}  // namespace nsrun
