// SPDX-License-Identifier: LGPL-2.1-or-later
#include "self.h"

__thread struct btn_worker *btn_self;
__thread struct btn_worker *btn_self_attached;
