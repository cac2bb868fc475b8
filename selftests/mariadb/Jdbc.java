// SPDX-License-Identifier: GPL-2.0-or-later
import java.sql.*;

/** What a program does with JDBC: args are the URL; prints ok, or why not. */
public class Jdbc {
	static void check(boolean ok, String what) {
		if (!ok)
			throw new RuntimeException(what);
	}

	public static void main(String[] args) throws Exception {
		try (Connection c = DriverManager.getConnection(args[0])) {
			Statement s = c.createStatement();
			s.execute("DROP TABLE IF EXISTS jd");
			s.execute("CREATE TABLE jd (id INT PRIMARY KEY, t TEXT, n DECIMAL(10,2), at DATETIME)");
			PreparedStatement in = c.prepareStatement("INSERT INTO jd VALUES (?, ?, ?, ?)");
			c.setAutoCommit(false);
			for (int i = 0; i < 20; i++) {
				in.setInt(1, i);
				in.setString(2, "row " + i);
				in.setBigDecimal(3, new java.math.BigDecimal(i + ".25"));
				in.setTimestamp(4, Timestamp.valueOf("2024-01-02 03:04:05"));
				in.addBatch();
			}
			check(in.executeBatch().length == 20, "a batch");
			c.commit();
			PreparedStatement out = c.prepareStatement("SELECT t, n, at FROM jd WHERE id = ?");
			for (int i = 0; i < 20; i++) {
				out.setInt(1, i);
				ResultSet r = out.executeQuery();
				check(r.next() && r.getString(1).equals("row " + i) && r.getBigDecimal(2).toString().equals(i + ".25") &&
				      r.getTimestamp(3).equals(Timestamp.valueOf("2024-01-02 03:04:05")), "row " + i);
			}
			PreparedStatement change = c.prepareStatement("UPDATE jd SET n = ? WHERE id = ?");
			change.setInt(1, 5);
			change.setInt(2, 1);
			check(change.executeUpdate() == 1, "an update");
			// What nothing was bought for is refused; the transaction is as it was.
			s.execute("SET SESSION baton_class = 'critical'");
			change.setInt(2, 2);
			try {
				change.executeUpdate();
				check(false, "the update was not refused");
			} catch (SQLException e) {
				check(e.getErrorCode() == 1226 && e.getSQLState().equals("42000") && e.getMessage().contains("has bought no CPU"),
				      "refused with " + e.getErrorCode() + " " + e.getSQLState() + " " + e.getMessage());
			}
			s.execute("SET SESSION baton_class = DEFAULT");
			c.commit();
			ResultSet r = s.executeQuery("SELECT COUNT(*) FROM jd WHERE n = 5.00");
			check(r.next() && r.getInt(1) == 1, "one row was changed");
			c.commit();
		}
		System.out.println("ok");
	}
}
