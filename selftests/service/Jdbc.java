// SPDX-License-Identifier: GPL-2.0-or-later
import java.sql.*;

/** What a program does with JDBC: args are the URL; prints ok, or why not. */
public class Jdbc {
	static void check(boolean ok, String what) {
		if (!ok)
			throw new RuntimeException(what);
	}

	public static void main(String[] args) throws Exception {
		try (Connection c = DriverManager.getConnection(args[0], "postgres", "")) {
			Statement s = c.createStatement();
			s.execute("DROP TABLE IF EXISTS jd");
			s.execute("CREATE TABLE jd (id int primary key, t text, b boolean, n text, at text, f float8, l bigint)");
			PreparedStatement in = c.prepareStatement("INSERT INTO jd VALUES (?, ?, ?, ?, ?, ?, ?)");
			c.setAutoCommit(false);
			for (int i = 0; i < 20; i++) {
				in.setInt(1, i);
				in.setString(2, "row " + i);
				in.setBoolean(3, i % 2 == 0);
				in.setString(4, i + ".25");
				in.setTimestamp(5, Timestamp.valueOf("2024-01-02 03:04:05"));
				in.setDouble(6, i / 8.0);
				in.setLong(7, 1L << 40);
				in.executeUpdate();
			}
			c.commit();
			c.setAutoCommit(true);
			/* Often enough that the driver prepares it, and asks for binary results. */
			PreparedStatement q = c.prepareStatement("SELECT * FROM jd WHERE id = ?");
			for (int i = 0; i < 20; i++) {
				q.setInt(1, i);
				ResultSet r = q.executeQuery();
				check(r.next(), "no row " + i);
				check(r.getInt(1) == i && r.getString(2).equals("row " + i), "row " + i);
				check(r.getBoolean(3) == (i % 2 == 0), "boolean " + i);
				check(r.getString(4).equals(i + ".25"), "text " + r.getString(4));
				check(r.getTimestamp(5).toString().startsWith("2024-01-02 03:04:05"), "timestamp " + r.getTimestamp(5));
				check(r.getDouble(6) == i / 8.0 && r.getLong(7) == 1L << 40, "numbers " + i);
				check(!r.next(), "more than one");
			}
			c.setAutoCommit(false);
			s.setFetchSize(7);
			ResultSet r = s.executeQuery("SELECT id FROM jd ORDER BY id");
			int n = 0;
			while (r.next())
				check(r.getInt(1) == n++, "order");
			check(n == 20, "fetched " + n);
			try {
				s.execute("INSERT INTO jd (id) VALUES (1)");
				check(false, "a duplicate was taken");
			} catch (SQLException e) {
				check(e.getSQLState().equals("23505"), e.getSQLState());
			}
			c.rollback();
			System.out.println("ok");
		}
	}
}
