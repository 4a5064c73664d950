#pragma once

namespace nsrun {

// nsrun --help: fits a large screen, 80 columns wide.
const char* help_text();

}  // namespace nsrun
