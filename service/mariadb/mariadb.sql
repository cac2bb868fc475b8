-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- The quotas' table, and the plugin: mariadb < mariadb.sql, as an administrator.
-- Nothing here is replicated: each server has quotas of its own.
SET SESSION sql_log_bin = 0;

CREATE TABLE IF NOT EXISTS mysql.baton_quotas (
  user VARCHAR(128) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL
    COMMENT 'a user, whatever host; a role; or %: each user without a row',
  low_latency DECIMAL(7,4) NOT NULL DEFAULT 0
    COMMENT '% of the CPUs, to be had at once; of all rows at most 70' CHECK (low_latency BETWEEN 0 AND 100),
  high_latency DECIMAL(7,4) NOT NULL DEFAULT 0
    COMMENT '% of the CPUs, to be waited for; may be oversold' CHECK (high_latency BETWEEN 0 AND 100),
  class ENUM('critical', 'tolerant', 'batch') NOT NULL DEFAULT 'tolerant'
    COMMENT 'what a session uses that has not set baton_class',
  PRIMARY KEY (user)
) ENGINE=InnoDB CHARACTER SET utf8mb3 COMMENT='CPU quotas; SET GLOBAL baton_reload_now = ON makes them hold';

INSTALL PLUGIN IF NOT EXISTS baton SONAME 'baton';
INSTALL PLUGIN IF NOT EXISTS BATON_TENANTS SONAME 'baton';
INSTALL PLUGIN IF NOT EXISTS BATON_STATEMENTS SONAME 'baton';
INSTALL PLUGIN IF NOT EXISTS BATON_LATE SONAME 'baton';
