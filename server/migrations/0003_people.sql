-- What people sign in with, and how they come into a company.

-- Members could approve connections, and nothing else could be done yet.
UPDATE membership SET role = 'admin' WHERE role = 'member';
